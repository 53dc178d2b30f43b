// One person's half of the page, by what a visitor sees there.

import assert from "node:assert/strict";

/** Longest wait for anything on the page. */
export const CAP_MS = 20_000;

export class Side {
  constructor(page, user) {
    this.page = page;
    this.user = user;
    this.panel = page.locator(`[data-user="${user}"]`);
    this.input = this.panel.getByRole("textbox");
    this.log = this.panel.getByRole("log");
    this.badge = this.panel.locator(".row[aria-current] .badge");
  }

  button(name) {
    return this.panel.getByRole("button", { name });
  }

  async write(text) {
    await this.input.fill(text);
    await this.input.press("Enter");
    await this.message(text).waitFor({ timeout: CAP_MS });
  }

  message(text) {
    return this.log.locator("li.message").filter({ has: this.page.getByText(text, { exact: true }) });
  }

  /** Waits until the one message with this text says this about itself. */
  async state(text, state) {
    await this.message(text).locator(`[data-state="${state}"]`).waitFor({ timeout: CAP_MS });
    assert.equal(await this.message(text).count(), 1, `“${text}” once at ${this.user}'s`);
  }

  async receives(text) {
    await this.message(text).first().waitFor({ timeout: CAP_MS });
    assert.equal(await this.message(text).count(), 1, `“${text}” once at ${this.user}'s`);
  }

  /** Waits until a part of the side shows a text that matches. */
  async shows(selector, pattern) {
    await this.panel.locator(selector).filter({ hasText: pattern }).waitFor({ timeout: CAP_MS });
  }

  async online() {
    await this.shows(".state", /^Online/);
  }

  /** The messages on screen in their order: text and seq (undefined while it has none). */
  messages() {
    return this.log.locator("li.message").evaluateAll((items) =>
      items.map((item) => ({ text: item.querySelector(".text").textContent, seq: Number(item.dataset.seq) || undefined })),
    );
  }
}
