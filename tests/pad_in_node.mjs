// Runs helpers/drawing.js, the first argument, with just enough of a browser, and prints as JSON what its status line says.
import { readFileSync } from "node:fs";

const timers = new Map();
globalThis.setTimeout = (call) => timers.set(timers.size + 1, call).size;
globalThis.clearTimeout = (number) => timers.set(number, null);
const wait = () => timers.forEach((call) => call?.());

let strokes = 0;
const nothing = () => {};
const pen = {
  clearRect: nothing, fillRect: nothing, beginPath: nothing, moveTo: nothing, lineTo: nothing,
  stroke: () => { strokes += 1; },
  getImageData: () => ({ data: new Uint8Array(4 * 78400).fill(strokes) }),
};
const elements = [];
globalThis.document = {
  createElement: (tag) => {
    const listeners = {};
    const made = {
      tag, listeners, attributes: {}, textContent: "",
      setAttribute: (name, value) => { made.attributes[name] = value; },
      addEventListener: (name, listener) => { listeners[name] = listener; },
      getBoundingClientRect: () => ({ left: 0, top: 0, width: 280, height: 280 }),
      getContext: () => pen, append: nothing, replaceChildren: nothing, setPointerCapture: nothing,
    };
    elements.push(made);
    return made;
  },
};
const values = { drawing: null, shown: { message: "Draw a digit.", picture: null, readings: [] } };
const sent = [];
let answered = nothing;
const model = {
  get: (name) => values[name],
  set: (name, value) => { values[name] = value; },
  save_changes: () => sent.push(values.drawing === null ? "cleared" : values.drawing.length),
  on: (name, listener) => { answered = listener; },
  off: () => { answered = nothing; },
};
const answer = (message) => {
  values.shown = { ...values.shown, message };
  answered();
};

const source = readFileSync(process.argv[2], "utf8");
const { default: pad } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const dispose = pad.render({ model, el: document.createElement("div") });
const paper = elements.find((each) => each.attributes.class === "paper");
const status = elements.find((each) => each.attributes.role === "status");
const clear = elements.find((each) => each.tag === "button");
const draw = () => {
  const event = { isPrimary: true, button: 0, pointerId: 1, clientX: 100, clientY: 100 };
  for (const name of ["pointerdown", "pointermove", "pointerup"]) paper.listeners[name](event);
};

const said = [];
const note = () => said.push(status.textContent);
draw();
answer("first");
wait();
note(); // the answer came in time
draw();
wait();
note(); // the kernel is busy
answer("second");
note();
draw();
draw();
answer("both");
wait();
note(); // the time-out of the first of two drawings comes late
clear.listeners.click();
answer("cleared");
clear.listeners.click();
note();
draw();
dispose();
wait();
note(); // the pad is gone
console.log(JSON.stringify({ said, sent }));
