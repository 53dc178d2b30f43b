/** Named events with any number of listeners; a listener that throws stops no other. */
export class Emitter {
  #listeners = new Map();

  /** Calls `listener` on each event of this name; returns the function that ends that. */
  on(name, listener) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  emit(name, value) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        // Reported as uncaught, without stopping what was going on here.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
