// The page as a visitor has it: a real server, a real browser, two people.
//
//   node page.test.mjs --binary PATH --screenshots DIR
//
// Ends with the line `N passed, N failed`; exits non-zero if anything failed.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { PARTS } from "./parts.mjs";
import { Server } from "./server.mjs";
import { CAP_MS, Side } from "./side.mjs";

/** Longest run of everything. */
const TOTAL_CAP_MS = 240_000;
/** More than one page of history. */
const MANY = 60;
const REFUSED_SOCKET = /^WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/v1\/ws' failed/;

const { values: options } = parseArgs({
  options: { binary: { type: "string" }, screenshots: { type: "string" }, chromium: { type: "string" } },
});
const binary = options.binary ?? process.env.POSTHORN_BINARY;
const screenshots = options.screenshots ?? process.env.POSTHORN_SCREENSHOTS;
if (!binary || !screenshots) {
  console.error("usage: node page.test.mjs --binary PATH --screenshots DIR [--chromium PATH]");
  process.exit(2);
}
mkdirSync(screenshots, { recursive: true });

const server = new Server(resolve(binary));
const complaints = [];
let serverIsDown = false;
let browser;
let page;
let alice;
let bob;

const PAGE = {
  async "both people are there and see each other"() {
    await page.goto(server.ready.http);
    await Promise.all([alice.online(), bob.online()]);
    await alice.shows(".presence", /^Online$/);
    await bob.shows(".presence", /^Online$/);
    await alice.log.locator("li.message").first().waitFor({ timeout: CAP_MS });
  },

  async "a message is delivered at once, and read when somebody looks"() {
    await alice.write("Are you there, Bob?");
    await bob.receives("Are you there, Bob?");
    await alice.state("Are you there, Bob?", "delivered");
    await bob.badge.waitFor({ timeout: CAP_MS });
    await shoot("1-delivered");
    await bob.input.click();
    await alice.state("Are you there, Bob?", "read");
    await bob.badge.waitFor({ state: "detached", timeout: CAP_MS });
  },

  async "the answer comes back, whatever it is made of"() {
    const texts = ["Yes, here I am.", "<b>not markup</b> & \"quotes\"", "שלום, مرحبا", "two\nlines", "👋🏽"];
    for (const text of texts) await bob.write(text);
    for (const text of texts) await alice.receives(text);
    await alice.input.click();
    for (const text of texts) await bob.state(text, "read");
    assert.equal(await alice.log.locator("b").count(), 0);
  },

  async "who types is seen, until they stop"() {
    await bob.input.pressSequentially("Let me think", { delay: 10 });
    await alice.shows(".typing", /^Bob is typing…$/);
    await shoot("2-typing");
    await bob.input.fill("");
    await alice.panel.locator(".typing.on").waitFor({ state: "detached", timeout: CAP_MS });
  },

  async "who is offline is seen, and what is written meanwhile arrives once"() {
    await bob.button("Offline 10 s").click();
    await bob.shows(".state", /^Offline: .*Back in/);
    await alice.write("You are away");
    await alice.state("You are away", "stored");
    await bob.write("Written offline");
    await bob.state("Written offline", "queued");
    await alice.shows(".presence", /^(Last seen|Offline)/);
    await shoot("3-offline");
    await bob.online();
    await alice.receives("Written offline");
    await bob.receives("You are away");
    await alice.shows(".presence", /^Online$/);
    await bob.state("Written offline", "delivered");
    await agree();
  },

  async "the frames are shown, without a token in them"() {
    await alice.button("Frames").click();
    const frames = alice.panel.locator(".frames");
    await frames.waitFor({ timeout: CAP_MS });
    for (const [name, way] of [["connect", "out"], ["connected", "in"], ["send", "out"], ["sent", "in"], ["entries", "in"]]) {
      await frames.locator(`[data-frame="${name}"][data-way="${way}"]`).first().waitFor({ timeout: CAP_MS });
    }
    const tokens = server.ready.demo ? JSON.stringify(server.ready.demo).match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g) ?? [] : [];
    const text = await frames.textContent();
    assert.ok(!/eyJ[\w-]+\.[\w-]+\.[\w-]{20,}/.test(text), "a token is on the screen");
    for (const token of tokens) assert.ok(!text.includes(token));
    await frames.locator("[data-frame=sent] summary").first().click();
    await frames.locator("pre").filter({ hasText: '"seq"' }).waitFor({ timeout: CAP_MS });
    await shoot("4-frames");
    await alice.button("Frames").click();
  },

  async "the server is killed and comes back: nothing is lost, nothing comes twice"() {
    serverIsDown = true;
    await server.kill();
    await Promise.all([alice.shows(".state", /^Offline/), bob.shows(".state", /^Offline/)]);
    await alice.write("First, while it was down");
    await alice.write("Second, while it was down");
    await bob.write("From the other side");
    await alice.state("First, while it was down", "queued");
    await bob.state("From the other side", "queued");
    await shoot("5-server-down");
    await server.start();
    await Promise.all([alice.online(), bob.online()]);
    serverIsDown = false;
    await bob.receives("First, while it was down");
    await bob.receives("Second, while it was down");
    await alice.receives("From the other side");
    await bob.input.click();
    await alice.state("Second, while it was down", "read");
    await agree();
    await shoot("6-recovered");
  },

  async "a message that waits survives a reload"() {
    await alice.button("Offline 10 s").click();
    await alice.write("Reloaded before it was sent");
    await alice.state("Reloaded before it was sent", "queued");
    await page.reload();
    await Promise.all([alice.online(), bob.online()]);
    await bob.receives("Reloaded before it was sent");
    await alice.state("Reloaded before it was sent", "delivered");
  },

  async "a reload keeps the history"() {
    const before = await agree();
    await page.reload();
    await Promise.all([alice.online(), bob.online()]);
    await alice.receives(before.at(-1).text);
    await bob.receives(before.at(-1).text);
    assert.deepEqual(await agree(), before);
  },

  async "older history comes in above, and what is looked at stays where it is"() {
    for (let n = 1; n <= MANY; n += 1) {
      await alice.input.fill(`Number ${n} of many`);
      await alice.input.press("Enter");
    }
    await bob.receives(`Number ${MANY} of many`);
    await page.reload();
    await alice.online();
    await alice.receives(`Number ${MANY} of many`);
    const held = (await alice.messages()).length;
    assert.ok(held < MANY, `${held} messages are a page`);
    // The line at the top, before and after, in one go: the page may draw at any moment.
    const moved = await alice.log.evaluate(async (log, cap) => {
      log.scrollTop = 60;
      const topOf = (id) => log.querySelector(`[data-key="${id}"]`).getBoundingClientRect().top;
      const id = log.querySelector("li.message").dataset.key;
      const [count, top] = [log.querySelectorAll("li.message").length, topOf(id)];
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      const end = performance.now() + cap;
      while (log.querySelectorAll("li.message").length === count && performance.now() < end) await frame();
      await frame();
      return topOf(id) - top;
    }, CAP_MS);
    // Fractions of a pixel are the browser's.
    assert.ok(Math.abs(moved) < 2, `the line moved by ${moved} px`);
    assert.equal(await alice.message("Number 1 of many").count(), 1);
  },

  async "the keyboard is enough, and the list is one stop"() {
    const rows = alice.panel.locator(".row");
    assert.ok((await rows.count()) >= 2);
    assert.equal(await alice.panel.locator('.row[tabindex="0"]').count(), 1);
    await alice.panel.locator('.row[tabindex="0"]').focus();
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    const target = alice.panel.locator(".row").last();
    await target.and(alice.panel.locator("[aria-current]")).waitFor({ timeout: CAP_MS });
    await page.keyboard.type("Hello, everybody");
    await page.keyboard.press("Enter");
    await alice.receives("Hello, everybody");
    await bob.panel.locator(".row").filter({ hasText: "Hello, everybody" }).waitFor({ timeout: CAP_MS });
  },

  async "a lost acknowledgement is told as such, and the message stays one"() {
    const text = "Was this stored?";
    const tab = await browser.newPage({ viewport: { width: 1360, height: 860 }, colorScheme: "light", locale: "en-GB" });
    watchConsole(tab);
    // Between the server and this tab: first its answers get lost, then the way to it.
    let broken = false;
    const refusal = { code: 4432, reason: "unavailable" };
    const sockets = [];
    await tab.routeWebSocket(/\/v1\/ws$/, (socket) => {
      if (broken) return socket.close(refusal);
      const upstream = socket.connectToServer();
      upstream.onMessage((frame) => broken || socket.send(frame));
      sockets.push(socket);
    });
    await tab.goto(server.ready.http);
    const [here, there] = [new Side(tab, "alice"), new Side(tab, "bob")];
    await Promise.all([here.online(), there.online()]);
    broken = true;
    await here.write(text);
    await here.state(text, "sent");
    await bob.receives(text);
    for (const socket of sockets.splice(0)) await socket.close(refusal);
    await here.state(text, "unconfirmed");
    await tab.screenshot({ path: join(screenshots, "7-not-confirmed.png"), animations: "disabled" });
    broken = false;
    await here.online();
    await here.state(text, "delivered");
    await there.receives(text);
    await bob.receives(text);
    await tab.close();
  },

  async "small windows and dark ones are served too"() {
    await shoot("8-light");
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot("9-dark");
    await page.emulateMedia({ colorScheme: "light" });
    // 1280 x 1024 at 400 %.
    await page.setViewportSize({ width: 320, height: 256 });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(overflow, 0, "nothing has to be scrolled sideways");
    await shoot("10-zoomed", { fullPage: true });
  },
};

const LAST = {
  async "the browser's console has nothing to complain about"() {
    assert.deepEqual(complaints, []);
  },
};

const SCENARIOS = Object.entries({ ...PAGE, ...PARTS, ...LAST });

/** Both sides show the same messages in the same order, with seqs that only grow; returns them. */
async function agree() {
  const [a, b] = [await alice.messages(), await bob.messages()];
  assert.deepEqual(a, b);
  const seqs = a.map(({ seq }) => seq);
  assert.ok(seqs.every((seq, at) => seq && (at === 0 || seq > seqs[at - 1])), `seqs in order: ${seqs}`);
  return a;
}

async function shoot(name, more = {}) {
  await page.screenshot({ path: join(screenshots, `${name}.png`), animations: "disabled", ...more });
}

/** While the server is down, and only then, a socket may be refused. */
function watchConsole(tab) {
  tab.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    if (serverIsDown && REFUSED_SOCKET.test(message.text())) return;
    complaints.push(`${message.type()}: ${message.text()}`);
  });
  tab.on("pageerror", (error) => complaints.push(error.stack));
}

async function openBrowser() {
  browser = await chromium.launch({
    executablePath: options.chromium ?? process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  page = await browser.newPage({ viewport: { width: 1360, height: 860 }, colorScheme: "light", locale: "en-GB" });
  page.setDefaultTimeout(CAP_MS);
  watchConsole(page);
  alice = new Side(page, "alice");
  bob = new Side(page, "bob");
}

async function run() {
  let [passed, failed] = [0, 0];
  for (const [name, scenario] of SCENARIOS) {
    const began = Date.now();
    try {
      await scenario(page);
      passed += 1;
      console.log(`ok      ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
      await shoot(`failed-${failed}`).catch(() => {});
    }
  }
  return { passed, failed };
}

function end({ passed, failed }) {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
setTimeout(() => {
  console.log(`FAILED  everything took longer than ${TOTAL_CAP_MS} ms`);
  end({ passed: 0, failed: SCENARIOS.length });
}, TOTAL_CAP_MS);

let result = { passed: 0, failed: SCENARIOS.length };
try {
  await server.start();
  await openBrowser();
  result = await run();
} catch (error) {
  console.log(`FAILED  before the first scenario\n${error.stack}`);
} finally {
  await browser?.close().catch(() => {});
  await server.kill().catch(() => {});
}
end(result);
