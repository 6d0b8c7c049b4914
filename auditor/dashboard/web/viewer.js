// A case's image with its map and outlines laid over it. What is chosen stays for the next case.
const KEPT = "auditor-viewer";
const kept = () => {
  try {
    return { map: "margin", opacity: 70, outlines: true, ...JSON.parse(sessionStorage.getItem(KEPT)) };
  } catch {
    return { map: "margin", opacity: 70, outlines: true };
  }
};

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".viewer");
  const make = (name, className = "", text = "") => {
    const element = document.createElement(name);
    element.className = className;
    element.textContent = text;
    return element;
  };
  const state = kept();
  const keep = () => sessionStorage.setItem(KEPT, JSON.stringify(state));

  const stage = make("div", "stage");
  const sheet = make("div", "sheet");
  const base = make("img", "base");
  const problem = make("div", "problem");
  base.alt = data.alt;
  // As large as the stage and the window leave it, whatever its own size.
  base.width = data.width;
  base.height = data.height;
  sheet.style.width = `min(100%, calc(58vh * ${data.width / data.height}))`;
  base.onerror = () => stage.replaceChildren(make("p", "problem", data.missing));
  base.fetchPriority = "high";
  base.src = data.src;
  sheet.append(base);

  const map = make("img", "over");
  map.alt = "";
  if (data.frame) {
    const [left, top, right, bottom] = data.frame;
    Object.assign(map.style, {
      left: `${left * 100}%`, top: `${top * 100}%`,
      width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%`,
    });
  }
  map.onerror = () => { map.style.display = "none"; problem.textContent = "This map has no positive evidence."; };
  const outlines = make("img", "over whole");
  outlines.alt = "";
  outlines.onerror = () => {
    outlines.remove();
    fetch(data.outlines).then((answer) => answer.text()).then((text) => {
      problem.textContent = `No outlines: ${text}`;
    });
  };
  if (data.maps.length && data.frame) sheet.append(map);
  if (data.outlines) { outlines.src = data.outlines; sheet.append(outlines); }
  stage.append(sheet);

  const controls = make("div", "controls");
  const group = make("fieldset");
  group.append(make("legend", "", "Map of"));
  const choices = [...data.maps, { name: "none", told: "none", src: "" }];
  const radios = choices.map(({ name, told }) => {
    const label = make("label");
    const radio = make("input");
    radio.type = "radio";
    radio.name = "auditor-map";
    radio.value = name;
    radio.onchange = () => { state.map = name; keep(); draw(); };
    label.append(radio, told);
    group.append(label);
    return radio;
  });
  const opacityLabel = make("label", "", "Opacity");
  const opacity = make("input");
  Object.assign(opacity, { type: "range", min: 0, max: 100, value: state.opacity });
  opacity.setAttribute("aria-label", "Opacity of the map");
  opacity.oninput = () => { state.opacity = Number(opacity.value); keep(); draw(); };
  opacityLabel.append(opacity);
  const outlineLabel = make("label");
  const outlineBox = make("input");
  outlineBox.type = "checkbox";
  outlineBox.onchange = () => { state.outlines = outlineBox.checked; keep(); draw(); };
  outlineLabel.append(outlineBox, "Outlines");
  controls.append(group, opacityLabel, outlineLabel);

  const legend = make("div", "legend");
  const entry = (className, style, text) => {
    const span = make("span");
    const swatch = make("span", className);
    // A ramp that is clear at one end stands on white, as on a bright photograph.
    swatch.style.background = className === "ramp" ? `${style}, #fff` : style;
    span.append(swatch, text);
    legend.append(span);
  };
  if (data.maps.length) entry("ramp", data.ramp, "evidence, none to the map’s highest");
  for (const { name, colour } of data.legend) entry("swatch", colour, name);

  let shown = true;
  function draw() {
    const chosen = data.maps.find(({ name }) => name === state.map);
    radios.forEach((radio) => { radio.checked = radio.value === (chosen ? state.map : "none"); });
    outlineBox.checked = state.outlines;
    problem.textContent = "";
    if (chosen && map.getAttribute("src") !== chosen.src) map.src = chosen.src;
    map.style.display = chosen && shown ? "" : "none";
    map.style.opacity = state.opacity / 100;
    outlines.style.display = state.outlines && shown ? "" : "none";
  }
  // O hides and shows whatever lies over the image; not while somebody types.
  const typing = (target) =>
    target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName) ||
    (target.tagName === "INPUT" && !["radio", "checkbox", "range", "button"].includes(target.type));
  const key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key.toLowerCase() !== "o") return;
    if (typing(event.composedPath()[0])) return;
    shown = !shown;
    draw();
  };
  // Streamlit's own shortcuts are silent while somebody types, but for Escape, which would leave
  // the case and lose the note. A verdict's key that is held down would judge case after case that
  // nobody has seen; arrows may go on. Below `document`, where they listen, and above every field.
  const stay = (event) => {
    const field = typing(event.composedPath()[0]);
    const held = event.repeat && !event.key.startsWith("Arrow");
    if (field ? event.key === "Escape" : held) event.stopPropagation();
  };
  document.addEventListener("keydown", key);
  document.body.addEventListener("keydown", stay);
  root.replaceChildren(stage, controls, legend, problem);
  draw();
  // So that the next case is there before it is asked for.
  for (const src of data.ahead) new Image().src = src;
  return () => {
    document.removeEventListener("keydown", key);
    document.body.removeEventListener("keydown", stay);
  };
}
