// The pad in the browser: what is drawn goes to the kernel as 784 numbers, and what was read comes back.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function ink(pen) { // the mean of 10 by 10 points for each of 784 pixels, from opacity, so that no theme matters
  const { data } = pen.getImageData(0, 0, 280, 280);
  const sums = new Array(784).fill(0);
  for (let i = 0; i < 78400; i++) sums[28 * Math.floor(i / 2800) + Math.floor((i % 280) / 10)] += data[4 * i + 3];
  return sums.map((sum) => Math.round(sum / 100));
}

function paint(pen, values, side) {
  pen.clearRect(0, 0, 28 * side, 28 * side);
  (values ?? []).forEach((value, i) => {
    pen.fillStyle = `rgba(0, 0, 0, ${value / 255})`;
    pen.fillRect(side * (i % 28), side * Math.floor(i / 28), side, side);
  });
}

function bars({ name, probabilities }) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  const percent = (p) => `${Math.round(100 * p)} %`;
  const columns = probabilities.map((p, digit) => {
    const bar = element("div", { class: "bar", style: `height: ${72 * p}px` });
    const above = element("small", {}, digit === best ? percent(p) : "");
    return element("div", { class: digit === best ? "best" : "" }, above, bar, `${digit}`);
  });
  const spoken = `${name}: ${probabilities.map((p, digit) => `${digit}: ${percent(p)}`).join(", ")}`;
  return element("figure", {}, element("figcaption", {}, `${name} reads ${best}`),
    element("div", { class: "bars", role: "img", "aria-label": spoken }, ...columns));
}

function render({ model, el }) {
  const canvas = element("canvas", { class: "paper", width: 280, height: 280, tabindex: 0, role: "img",
    "aria-label": "Paper to draw one digit on, with mouse, finger or pen. Press Tab for the button that clears it." });
  const clear = element("button", { type: "button", "data-lm-suppress-shortcuts": "true" }, "Clear"); // Enter is its own
  const seen = element("canvas", { class: "seen", width: 28, height: 28, role: "img",
    "aria-label": "The digit as it is read, centred, in 28 by 28 pixels" });
  const readings = element("div", { class: "readings" });
  const status = element("p", { role: "status", "aria-live": "polite" });
  el.append(element("div", { class: "digit-pad" },
    element("div", {}, element("p", {}, "Draw a digit"), canvas, clear),
    element("div", {}, element("p", {}, "As it is read"), seen), readings, status));

  const pen = canvas.getContext("2d", { willReadFrequently: true });
  paint(pen, model.get("drawing"), 10); // what was drawn before the page was loaded again
  Object.assign(pen, { lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
  let last = null; // where the pen is, while it is down
  let patience = 0;
  const stroke = (event) => {
    const box = canvas.getBoundingClientRect();
    const next = [280 * (event.clientX - box.left) / box.width, 280 * (event.clientY - box.top) / box.height];
    pen.beginPath();
    pen.moveTo(...(last ?? next));
    pen.lineTo(...next);
    pen.stroke();
    last = next;
  };
  const send = (drawing) => {
    if (JSON.stringify(drawing) === JSON.stringify(model.get("drawing"))) return; // the kernel would not answer
    status.setAttribute("aria-busy", "true");
    clearTimeout(patience); // of the drawing before, which may not have been read yet
    patience = setTimeout(() => { status.textContent = "It is read as soon as the kernel is free."; }, 500);
    model.set("drawing", drawing);
    model.save_changes();
  };
  const end = () => {
    if (last) send(ink(pen));
    last = null;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => last && event.isPrimary && stroke(event));
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(name, end);
  clear.addEventListener("click", () => {
    paint(pen, null, 10);
    send(null);
  });

  const show = () => {
    clearTimeout(patience);
    const shown = model.get("shown");
    paint(seen.getContext("2d"), shown.picture, 1);
    readings.replaceChildren(...shown.readings.map(bars));
    status.textContent = shown.message;
    status.setAttribute("aria-busy", "false");
  };
  model.on("change:shown", show);
  show();
  return () => {
    clearTimeout(patience);
    model.off("change:shown", show);
  };
}
export default { render };
