// Begins the page: asks the server who the demo's people are, then gives each a side.

import { Panel } from "./panel.js";

const CONFIG = "/demo/config.json";
const RETRY_MS = 2_000;

const main = document.getElementById("people");
const notice = document.getElementById("notice");

async function fetchConfig() {
  const response = await fetch(CONFIG, { cache: "no-store" });
  if (!response.ok) throw Object.assign(new Error(`the server answered ${response.status}`), { status: response.status });
  return response.json();
}

/** Until the server answers; says why it has not. */
async function waitForConfig() {
  for (;;) {
    try {
      return await fetchConfig();
    } catch (error) {
      notice.textContent =
        error.status === 404
          ? "This server has no demo: it was started with “posthorn serve”. “posthorn dev” has one."
          : "The server does not answer yet. This page tries again every two seconds and goes on by itself.";
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function begin(config) {
  const names = new Map(config.users.map(({ user, name }) => [user, name || user]));
  const tokens = new Map(config.users.map(({ user, token }) => [user, token]));
  const people = { nameOf: (user) => names.get(user) ?? user, all: [...names.keys()] };
  const panels = config.users.map(
    (person) =>
      new Panel({
        person: { ...person, name: people.nameOf(person.user) },
        people,
        preferred: config.conversation,
        url: config.ws,
        onLook: turnTo,
        getToken: async ({ fresh }) => {
          if (fresh) for (const { user, token } of (await fetchConfig()).users) tokens.set(user, token);
          return tokens.get(person.user);
        },
      }),
  );
  function turnTo(panel) {
    for (const other of panels) other.look(other === panel);
  }
  main.replaceChildren(...panels.map((panel) => panel.element));
  main.removeAttribute("aria-busy");
  if (panels.length > 0) turnTo(panels[0]);
}

begin(await waitForConfig());
