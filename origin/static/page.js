// The live counter page.

import { Chart } from "./chart.js";
import { watch } from "./holdfast.js";
import { sendUpdate } from "./send.js";
import { showWatching } from "./watching.js";

const name = document.body.dataset.value;
const element = (id) => document.getElementById(id);
const chart = new Chart(element("chart"), element("caption"));
let changedAt = 0;

function showValue(snapshot) {
  const text = snapshot.text;
  element("value").textContent = text;
  element("value").classList.toggle("long", text.length > 9);
  document.title = `${text.slice(0, 40)} · ${name}`;
  // Its age counts from its arrival: this clock and the server's need not agree.
  changedAt = performance.now();
  chart.add([snapshot]);
  showAge();
}

function showState(state) {
  element("state").dataset.state = state;
  element("state").querySelector("b").textContent = state;
}

function showAge() {
  if (!changedAt) return;
  const seconds = (performance.now() - changedAt) / 1000;
  element("age").textContent =
    seconds < 1 ? "changed just now" :
    seconds < 60 ? `changed ${Math.floor(seconds)} s ago` :
    `changed ${Math.floor(seconds / 60)} min ago`;
}

async function add() {
  element("sent").textContent = "sending …";
  element("sent").textContent = await sendUpdate(name, { add: 1 });
}

element("add").addEventListener("click", add);
setInterval(showAge, 1000);
if (element("watching")) showWatching(element("watching"));
watch(name, {
  onValue: showValue,
  onState: showState,
  onHistory: (releases) => chart.add(releases),
});
