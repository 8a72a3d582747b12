// Timers that something else can fire, too, once their time has come: browsers hold up those of hidden
// tabs, by up to a minute, and none of them counts the time that the machine slept. Messages of other
// tabs come in time, and this clock goes on. (Where it jumps, something is tried again too early.)

const waiting = new Set();

// Calls callback after `ms`; returns what cancels that.
export function after(ms, callback) {
  const waiter = { at: Date.now() + ms, fire };
  const timer = setTimeout(fire, ms);
  waiting.add(waiter);
  function cancel() {
    clearTimeout(timer);
    waiting.delete(waiter);
  }
  function fire() {
    cancel();
    callback();
  }
  return cancel;
}

// Fires what is overdue.
export function fireDue() {
  const now = Date.now();
  for (const { at, fire } of [...waiting]) if (at <= now) fire();
}

// Resolves after `ms`, or at once when `signal` aborts.
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const cancel = after(ms, done);
    function done() {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    }
    if (signal?.aborted) done();
    else signal?.addEventListener("abort", done);
  });
}
