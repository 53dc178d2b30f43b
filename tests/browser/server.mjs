// A `posthorn dev` of this test alone: its own data directory, a free port, killed in all cases.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A cold start on a busy machine, with room. */
const START_CAP_MS = 60_000;
const EXIT_CAP_MS = 20_000;

export class Server {
  #binary;
  #dir = mkdtempSync(join(tmpdir(), "posthorn-page-"));
  #child = null;
  #log = "";
  ready = null;

  constructor(binary) {
    this.#binary = binary;
    process.on("exit", () => this.#remove());
  }

  /** Starts it, on the port it had before if it had one; resolves when it has said that it is ready. */
  async start() {
    const listen = this.ready ? new URL(this.ready.http).host : "127.0.0.1:0";
    const args = ["dev", "--json", "--listen", listen, "--data-dir", join(this.#dir, "data")];
    const child = spawn(this.#binary, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stderr.on("data", (chunk) => (this.#log = (this.#log + chunk).slice(-20_000)));
    const line = await within(START_CAP_MS, "the server's ready line", firstLine(child)).catch((error) => {
      throw new Error(`${error.message}\n${this.#log}`);
    });
    this.ready = JSON.parse(line);
    return this.ready;
  }

  /** As a power cut of the process: no goodbye, no flush. */
  async kill() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await within(EXIT_CAP_MS, "the server's end", gone);
  }

  #remove() {
    this.#child?.kill("SIGKILL");
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function firstLine(child) {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`the server ended (${code ?? signal}) before it was ready`)));
  });
}

export function within(ms, what, promise) {
  let timer;
  const cap = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${ms} ms`)), ms);
  });
  return Promise.race([promise, cap]).finally(() => clearTimeout(timer));
}
