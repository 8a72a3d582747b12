// Parses an event stream (WHATWG HTML, 9.2.6) chunk by chunk, wherever the chunks are cut.
// EventSource is not used: it gives up for good on a non-200, and hides the heartbeats.

export class Parser {
  #rest = "";
  #data = [];
  #event = "";
  #id = "";
  #lastId = "";
  #started = false;

  // The id of the newest block that was complete, also without data: where a client that comes back
  // goes on.
  get lastId() {
    return this.#lastId;
  }

  // Feed decoded text; calls onEvent({event, id, data}) for each complete event.
  feed(text, onEvent) {
    if (!this.#started && text) {
      this.#started = true;
      text = text.replace(/^\uFEFF/, "");
    }
    this.#rest += text;
    for (;;) {
      const end = /\r\n|\r|\n/.exec(this.#rest);
      // A CR at the very end may be the first half of a CRLF: wait for what follows.
      if (!end || (end[0] === "\r" && end.index === this.#rest.length - 1)) return;
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      this.#line(line, onEvent);
    }
  }

  #line(line, onEvent) {
    if (line === "") {
      this.#lastId = this.#id;
      if (this.#data.length) {
        onEvent({ event: this.#event || "message", id: this.#id, data: this.#data.join("\n") });
      }
      this.#data = [];
      this.#event = "";
      return;
    }
    const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }
}
