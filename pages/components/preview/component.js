// The live preview: a range input and bars drawn from a grid that Python computed. There are no formulas here.
// While the slider is dragged only this file runs; on release the value is sent to Python once. Where terms change over the
// epochs (`data.along`), an epoch slider and a chart of all epochs use the same grid; these send nothing to Python.
const seen = new WeakMap()

const element = (tag, name, text) => {
  const e = document.createElement(tag)
  if (name) e.className = name
  if (text !== undefined) e.textContent = text
  return e
}

const three = v => {
  if (v === null || v === undefined || !isFinite(v)) return "–"
  const a = Math.abs(v)
  if (a !== 0 && (a < 1e-4 || a >= 1e6)) return v.toExponential(2)
  return v.toFixed(Math.max(0, 2 - Number(a.toExponential(2).split("e")[1])))
}
const shown = (data, v) => (data.percent ? percent(v) : three(v))
const percent = (v, digits = 1) => (v === null || v === undefined ? "–" : (100 * v).toFixed(digits) + " %")

function buildRows(root, data) {
  const head = element("div", "head")
  for (const [name, text] of [["name", data.words.name], ["num tpr", data.words.tpr], ["", data.words.bar], ["num", data.words.value], ["num", data.words.share]])
    head.append(element("span", name, text))
  const rows = element("div", data.names.length > 16 ? "rows many" : "rows")
  const parts = data.names.map((name, i) => {
    const row = element("div", "row"), track = element("div", "track")
    const part = { row, bar: element("div", "bar"), share: element("div", "share"), one: element("div", "one"), value: element("span", "num"), part: element("span", "num") }
    const label = element("span", "name", name)
    label.title = name
    if (data.along && data.along.lines) label.prepend(swatch(data.along, i))
    track.append(part.bar, part.share, part.one)
    row.append(label, element("span", "num tpr", data.tpr ? percent(data.tpr[i]) : ""), track, part.value, part.part)
    part.tpr = row.querySelector(".tpr")
    rows.append(row)
    return part
  })
  const longest = Math.max(5, ...data.names.map(n => n.length))
  root.style.setProperty("--name", Math.min(18, longest + 3) + "ch")
  root.style.setProperty("--tpr", data.tpr ? "3.6rem" : "0rem")
  root.style.setProperty("--part", data.words.share || !data.along ? "4.2rem" : "0rem")
  root.replaceChildren(head, rows, legend(data))
  return parts
}

function legend(data) {
  const line = element("div", "legend")
  data.words.legend.forEach((text, i) => {
    const item = element("span", "")
    item.append(element("i", ["weight", "part", "equal"][i]), text)
    line.append(item)
  })
  return line
}

function buildStrip(root, data) {
  const strip = element("div", "strip"), shares = element("div", "strip shares")
  const one = element("div", "one"), equal = element("div", "one")
  const column = (to, color, name) => {
    const col = element("div", "col"), fill = element("div", "fill " + color)
    col.title = name
    col.append(fill)
    to.append(col)
    return { col, fill }
  }
  const parts = data.names.map(name => {
    const above = column(strip, "", name), below = data.shares ? column(shares, "part", name) : null
    return { row: above.col, bar: above.fill, one, equal, under: below && below.col, share: below && below.fill }
  })
  strip.append(one)
  shares.append(equal)
  const ends = element("div", "ends")
  ends.append(element("span", "", data.words.first), element("span", "", data.words.last))
  root.replaceChildren(strip, ...(data.shares ? [shares] : []), ends, legend(data))
  return parts
}

const SVG = "http://www.w3.org/2000/svg"
const drawn = (tag, attributes) => {
  const e = document.createElementNS(SVG, tag)
  Object.entries(attributes).forEach(([k, v]) => e.setAttribute(k, v))
  return e
}
const pen = (along, i) => ({ stroke: along.lines[i % along.lines.length], "stroke-dasharray": along.dashes[Math.floor(i / along.lines.length) % along.dashes.length],
  "stroke-width": 2, fill: "none", "vector-effect": "non-scaling-stroke" })

function swatch(along, i) {
  const svg = drawn("svg", { width: 20, height: 8, class: "swatch", "aria-hidden": "true" })
  svg.append(drawn("line", { x1: 0, x2: 20, y1: 4, y2: 4, ...pen(along, i) }))
  return svg
}

// The chart of all epochs above the bars, and the epoch slider: built once per set of classes and epochs.
function buildAlong(box, data) {
  box.querySelector(".along")?.remove()
  if (!data.along) return null
  const a = data.along, root = element("div", "along"), body = element("div", "body"), side = element("div", "side"), plot = element("div", "plot")
  plot.setAttribute("role", "img")
  const ends = [element("span", ""), element("span", "")], marker = element("div", "marker")
  side.append(...ends)
  if (!a.lines) [ends[0].textContent, ends[1].textContent] = [data.words.first, data.words.last]
  const paper = a.lines ? drawn("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none" }) : element("canvas", "")
  const lines = a.lines ? data.names.map((name, i) => {
    const line = drawn("polyline", pen(a, i)), title = drawn("title", {})
    title.textContent = name
    line.append(title)
    return line
  }) : []
  const equal = drawn("line", { x1: 0, x2: 1000, class: "equal", "vector-effect": "non-scaling-stroke" })
  if (a.lines) paper.append(equal, ...lines)
  plot.append(paper, marker)
  if (a.begin !== null) {
    const begin = element("div", "begin")
    begin.style.left = (100 * a.begin) / a.epochs.length + "%"
    begin.title = a.begin_words
    plot.append(begin)
  }
  body.append(side, plot)
  const ticks = element("div", "ticks")
  for (const i of new Set([0, Math.floor((a.epochs.length - 1) / 2), a.epochs.length - 1])) {
    const tick = element("span", "", String(a.epochs[i]))
    tick.style.left = (100 * (i + 0.5)) / a.epochs.length + "%"
    ticks.append(tick)
  }
  const control = element("div", "control"), label = element("label", "", a.label), input = element("input", ""), output = element("output", "")
  Object.assign(input, { id: "epoch", type: "range", min: 0, step: 1, max: a.epochs.length - 1 })
  label.htmlFor = "epoch"
  output.htmlFor = "epoch"
  control.append(label, input, output)
  const scale = element("div", "scale"), colors = element("i", "")
  const values = [element("span", ""), element("span", "")]
  colors.style.background = `linear-gradient(to right, ${a.map[0]}, ${a.map[1]})`
  scale.append(values[0], colors, values[1], element("span", "", data.words.value))
  root.append(element("div", "title", a.title), body, ticks, ...(a.lines ? [] : [scale]), ...(data.bars ? [control] : []))
  box.insertBefore(root, box.querySelector(".bars"))
  return { root, plot, paper, lines, equal, marker, ends, values, input, output }
}

const rgb = color => color.match(/\w\w/g).map(h => parseInt(h, 16))

function paint(canvas, data, first) {
  const a = data.along, E = a.epochs.length, C = data.names.length, context = canvas.getContext("2d")
  const [low, high] = a.ranges[Math.floor(first / E)], from = rgb(a.map[0]), to = rgb(a.map[1])
  Object.assign(canvas, { width: E, height: C })
  const image = context.createImageData(E, C)
  for (let e = 0; e < E; e++) for (let c = 0; c < C; c++) {
    const t = high > low ? (data.grid[first + e][c] - low) / (high - low) : 0.5
    for (let k = 0; k < 3; k++) image.data[4 * (c * E + e) + k] = Math.round(from[k] + t * (to[k] - from[k]))
    image.data[4 * (c * E + e) + 3] = 255
  }
  context.putImageData(image, 0, 0)
}

// The chart at one stop of the slider; `first` is the frame of its first epoch.
function drawAlong(part, data, stop) {
  const a = data.along, E = a.epochs.length, at = a.carried ? stop : 0, first = at * E, [low, high] = a.ranges[at]
  const numbers = a.lines ? part.ends : [part.values[1], part.values[0]]
  numbers[0].textContent = shown(data, high)
  numbers[1].textContent = shown(data, low)
  part.plot.setAttribute("aria-label", data.alt[at])
  if (!a.lines) return paint(part.paper, data, first)
  const y = v => 97 - 94 * (high > low ? (v - low) / (high - low) : 0.5)
  part.lines.forEach((line, c) => line.setAttribute("points", a.epochs.map((_, e) => `${(1000 * (e + 0.5)) / E},${y(data.grid[first + e][c]).toFixed(2)}`).join(" ")))
  const even = y(data.level[first])
  part.equal.setAttribute("y1", even)
  part.equal.setAttribute("y2", even)
}

const frameOf = (data, stop, epoch) => (data.along ? (data.along.carried ? stop * data.along.epochs.length : 0) + epoch : stop)

function draw(state, data, frame) {
  const w = data.grid[frame], s = data.shares ? data.shares[frame] : null
  const clipped = new Set(data.clipped[frame] || [])
  const top = data.top[frame], tpr = data.along && data.along.tpr && data.along.tpr[state.at]
  const strip = state.kind === "strip"
  const level = (100 * Math.min(data.level[frame], top)) / top + "%"
  state.parts.forEach((part, i) => {
    const length = (100 * Math.min(w[i], top)) / top + "%"
    part.row.classList.toggle("clipped", clipped.has(i))
    // Scaled so that an equal share ends at the same dashed line as an equal weight.
    const share = s ? Math.min(100, (100 * s[i] * w.length * data.level[frame]) / top) + "%" : "0"
    if (strip) {
      part.bar.style.height = length
      part.row.title = `${data.names[i]}: ${data.words.value} ${shown(data, w[i])}` + (s ? `, ${data.words.share} ${percent(s[i], 2)}` : "") + (data.tpr ? `, ${data.words.tpr} ${percent((tpr || data.tpr)[i])}` : "")
      if (i === 0) part.one.style.bottom = part.equal.style.bottom = level
      if (!part.share) return
      part.share.style.height = share
      part.under.title = part.row.title
      return
    }
    part.bar.style.width = length
    if (tpr) part.tpr.textContent = percent(tpr[i])
    part.one.style.left = level
    part.one.hidden = data.words.legend.length < 3
    part.value.textContent = shown(data, w[i])
    part.share.style.width = share
    part.part.textContent = s ? percent(s[i]) : ""
  })
  const facts = data.facts[frame].map(([value, name]) => {
    const e = element("span", "")
    e.append(element("b", "", value), " " + (data.said ? data.said[name] : name))
    return e
  })
  state.facts.replaceChildren(...facts)
  state.notes.replaceChildren(...data.notes[frame].map(text => element("li", "", data.said ? data.said[text] : text)))
  if (data.warn && data.warn[frame]) state.notes.prepend(element("li", "warn", data.warn[frame]))
}

function drawFormula(state, data, stop) {
  const formula = data.formula ? data.formula[stop] : ""
  state.formula.replaceChildren(...superscripts(formula))
  state.formula.hidden = !formula
}

// "(1 - TPR)^2.5": what follows ^ becomes superscript.
function superscripts(text) {
  return text.split(/(\^[\w.]+)/).map(part => part.startsWith("^") ? element("sup", "", part.slice(1)) : part)
}

function nearest(values, v) {
  let best = 0
  values.forEach((x, i) => { if (Math.abs(x - v) < Math.abs(values[best] - v)) best = i })
  return best
}

// While the slider is held, data from Python is deferred until release: nothing jumps while dragging, and no update is lost.
// A range input fires `change` only if its value changed, so the release is detected from pointer events too.
function holding(input, state) {
  const end = () => {
    for (const name of ["pointerup", "pointercancel"]) window.removeEventListener(name, end, true)
    state.letGo()
  }
  input.onpointerdown = () => {
    state.held = true
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, end, true)
  }
  input.onblur = input.onchange = input.onkeyup = end
}

export default function (component) {
  const state = seen.get(component.parentElement)
  if (state && state.held) state.waiting = component
  else render(component)
}

// Keys and quick hands release faster than Python answers. What answers an earlier release must not move the slider back, so every
// release has a number, and data that answer an earlier one are drawn around the value that was released last.
function render(component) {
  const { parentElement, data, setStateValue } = component
  const find = name => parentElement.querySelector(name)
  const box = find(".box"), input = find("#level"), output = find(".control output"), bars = find(".bars")
  if (!box || !data) return
  box.style.setProperty("--after", data.colors.after)
  box.style.setProperty("--before", data.colors.before)
  const kind = data.names.length > 40 ? "strip" : "rows"
  const signature = JSON.stringify([data.key, kind, data.names, data.tpr, data.words, data.along && { ...data.along, ranges: null }, data.bars])
  let state = seen.get(parentElement)
  if (!state || state.signature !== signature) {
    const parts = (kind === "strip" ? buildStrip : buildRows)(bars, data)
    const before = state && state.epoch !== null && data.along ? data.along.epochs.indexOf(state.epoch) : -1
    state = { signature, kind, parts, facts: find(".facts"), formula: find(".formula"), notes: find(".notes"), along: buildAlong(box, data), held: false, waiting: null, key: data.key,
      ...(state && state.key === data.key ? { value: state.value, sent: state.sent } : { value: data.value, sent: data.answered }) }
    state.at = data.along ? (before >= 0 ? before : data.along.at) : 0
    state.epoch = data.along ? data.along.epochs[state.at] : null
    seen.set(parentElement, state)
  }
  if (data.answered >= state.sent) state.value = data.value
  find(".control").hidden = !data.slider
  bars.hidden = state.facts.hidden = !data.names.length || data.bars === false
  const present = data.slider ? nearest(data.values, data.value) : 0
  const atEpoch = stop => {
    draw(state, data, frameOf(data, stop, state.at))
    if (!data.along) return
    const { along } = state, count = data.along.epochs.length
    along.marker.style.left = (100 * (state.at + 0.5)) / count + "%"
    along.input.value = state.at
    along.output.textContent = String(state.epoch)
    along.input.setAttribute("aria-valuetext", `${data.along.label} ${state.epoch}`)
    box.dataset.epoch = String(state.epoch)
  }
  const moveTo = index => {
    state.at = Math.max(0, Math.min(index, data.along.epochs.length - 1))
    state.epoch = data.along.epochs[state.at]
    atEpoch(data.slider ? Number(input.value) : 0)
  }
  const show = (stop, settled) => {
    const stale = data.along && !data.along.carried && stop !== present
    box.classList.toggle("stale", Boolean(stale))
    drawFormula(state, data, stop)
    if (data.along && !stale) drawAlong(state.along, data, stop)
    if (!stale) atEpoch(stop)
    if (settled) bars.setAttribute("aria-label", data.alt[data.along ? (data.along.carried ? stop : 0) : stop])
    if (!data.slider) return
    output.textContent = data.shown[stop]
    input.setAttribute("aria-valuetext", data.shown[stop])
    box.dataset.value = String(data.values[stop])
  }
  // Sends the value and renders deferred data. Several events can fire for one release, so an unchanged value is not sent again.
  state.letGo = () => {
    state.held = false
    const stop = data.slider ? Number(input.value) : 0, value = data.values[stop], next = state.waiting
    const changed = data.slider && value !== state.value
    if (changed) Object.assign(state, { value, sent: state.sent + 1 })
    state.waiting = null
    if (next) render(next)
    else show(stop, true)
    if (changed) (next || component).setStateValue("released", { value, count: state.sent })
  }
  if (data.along) {
    holding(state.along.input, state)
    state.along.input.oninput = () => moveTo(Number(state.along.input.value))
    state.along.plot.onclick = event => {
      const room = state.along.plot.getBoundingClientRect()
      moveTo(Math.floor(((event.clientX - room.left) / room.width) * data.along.epochs.length))
    }
  }
  if (!data.slider) return show(0, true)
  // The range input counts stops, so that uneven grids (beta near 1) can be dragged; the value is values[stop].
  find("label").textContent = data.label
  input.max = data.values.length - 1
  input.value = nearest(data.values, state.value)
  show(Number(input.value), true)
  holding(input, state)
  input.oninput = () => show(Number(input.value), false)
}
