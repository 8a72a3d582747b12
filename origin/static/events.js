// The page of topics: pick one, watch it, pause, filter, see ids.

import { follow } from "./follow.js";

const MOST = 200; // events on the page, and events that wait while it is paused
const element = (id) => document.getElementById(id);
let current = null;
let paused = false;
let waiting = [];
let missed = 0;
let seen = 0;

function showState(state) {
  element("state").dataset.state = state;
  element("state").querySelector("b").textContent = state;
}

function matches(item) {
  const wanted = element("filter").value.toLowerCase();
  return !wanted || item.textContent.toLowerCase().includes(wanted);
}

function line({ event, id, data }) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  const code = document.createElement("code");
  const text = document.createElement("pre");
  name.textContent = event;
  code.textContent = id;
  text.textContent = data.length > 5_000 ? `${data.slice(0, 5_000)} … (${data.length} characters)` : data;
  item.append(name, code, text);
  item.hidden = !matches(item);
  return item;
}

function show(events) {
  const list = element("events");
  list.prepend(...events.slice(-MOST).reverse().map(line));
  while (list.childElementCount > MOST) list.lastElementChild.remove();
}

function count() {
  const held = waiting.length + missed;
  element("count").textContent =
    (seen ? `${seen} ${seen === 1 ? "event" : "events"}` : "no events yet") +
    (held ? `, ${held} of them wait` : "");
}

let drawing = 0;

function take(event) {
  seen += 1;
  waiting.push(event);
  if (waiting.length > MOST) {
    missed += waiting.length - MOST;
    waiting = waiting.slice(-MOST);
  }
  // At most one change of the page per frame, however fast they come.
  drawing ||= requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  if (!paused && waiting.length) {
    show(waiting);
    waiting = [];
    missed = 0;
  }
  count();
}

function start() {
  current?.close();
  waiting = [];
  missed = seen = 0;
  element("events").replaceChildren();
  count();
  const topic = element("topic").value;
  if (!topic) return;
  history.replaceState(null, "", `#${encodeURIComponent(topic)}`);
  document.title = `${topic} · Holdfast`;
  current = follow(topic, { onEvent: take, onState: showState });
}

element("controls").addEventListener("submit", (event) => event.preventDefault());
element("topic").addEventListener("change", start);
element("filter").addEventListener("input", () => {
  for (const item of element("events").children) item.hidden = !matches(item);
});
element("ids").addEventListener("change", () => {
  element("events").classList.toggle("ids", element("ids").checked);
});
element("pause").addEventListener("click", () => {
  paused = !paused;
  element("pause").setAttribute("aria-pressed", String(paused));
  element("pause").textContent = paused ? "Go on" : "Pause";
  draw();
});

function topicOfFragment() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return ""; // a fragment that nobody has encoded
  }
}

const asked = topicOfFragment();
if ([...element("topic").options].some((option) => option.value === asked)) element("topic").value = asked;
start();
