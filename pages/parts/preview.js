// The live preview: a range input and bars drawn from a grid that Python computed. No formula lives here.
// While the thumb is dragged only this file runs; on release the value goes to Python once.
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
  return v.toFixed(a === 0 ? 2 : Math.max(0, 2 - Math.floor(Math.log10(a))))
}
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
    track.append(part.bar, part.share, part.one)
    row.append(label, element("span", "num tpr", data.tpr ? percent(data.tpr[i]) : ""), track, part.value, part.part)
    rows.append(row)
    return part
  })
  const longest = Math.max(5, ...data.names.map(n => n.length))
  root.style.setProperty("--name", Math.min(18, longest + 3) + "ch")
  root.style.setProperty("--tpr", data.tpr ? "3.6rem" : "0rem")
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
  const column = (to, colour, name) => {
    const col = element("div", "col"), fill = element("div", "fill " + colour)
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

function draw(state, data, frame) {
  const w = data.grid[frame], s = data.shares ? data.shares[frame] : null
  const clipped = new Set(data.clipped[frame] || [])
  const top = data.top[frame]
  const strip = state.kind === "strip"
  const level = (100 * Math.min(data.level[frame], top)) / top + "%"
  state.parts.forEach((part, i) => {
    const length = (100 * Math.min(w[i], top)) / top + "%"
    part.row.classList.toggle("clipped", clipped.has(i))
    // An equal share ends at the same dashed line as an equal weight.
    const share = s ? Math.min(100, (100 * s[i] * w.length * data.level[frame]) / top) + "%" : "0"
    if (strip) {
      part.bar.style.height = length
      part.row.title = `${data.names[i]}: ${data.words.value} ${three(w[i])}` + (s ? `, ${data.words.share} ${percent(s[i], 2)}` : "") + (data.tpr ? `, ${data.words.tpr} ${percent(data.tpr[i])}` : "")
      if (i === 0) part.one.style.bottom = part.equal.style.bottom = level
      if (!part.share) return
      part.share.style.height = share
      part.under.title = part.row.title
      return
    }
    part.bar.style.width = length
    part.one.style.left = level
    part.one.hidden = data.words.legend.length < 3
    part.value.textContent = three(w[i])
    part.share.style.width = share
    part.part.textContent = s ? percent(s[i]) : ""
  })
  const facts = data.facts[frame].map(([value, name]) => {
    const e = element("span", "")
    e.append(element("b", "", value), " " + name)
    return e
  })
  state.facts.replaceChildren(...facts)
  const formula = data.formula ? data.formula[frame] : ""
  state.formula.replaceChildren(...raised(formula))
  state.formula.hidden = !formula
  state.notes.replaceChildren(...data.notes[frame].map(text => element("li", "", text)))
}

// "(1 - TPR)^2.5": what stands after ^ is raised.
function raised(text) {
  return text.split(/(\^[\w.]+)/).map(part => part.startsWith("^") ? element("sup", "", part.slice(1)) : part)
}

function nearest(values, v) {
  let best = 0
  values.forEach((x, i) => { if (Math.abs(x - v) < Math.abs(values[best] - v)) best = i })
  return best
}

export default function (component) {
  const { parentElement, data, setStateValue } = component
  const find = name => parentElement.querySelector(name)
  const box = find(".box"), input = find("input"), output = find("output"), bars = find(".bars")
  if (!box || !data) return
  box.style.setProperty("--after", data.colours.after)
  box.style.setProperty("--before", data.colours.before)
  const kind = data.names.length > 40 ? "strip" : "rows"
  const signature = JSON.stringify([kind, data.names, data.tpr, data.words])
  let state = seen.get(parentElement)
  if (!state || state.signature !== signature) {
    const parts = (kind === "strip" ? buildStrip : buildRows)(bars, data)
    state = { signature, kind, parts, facts: find(".facts"), formula: find(".formula"), notes: find(".notes"), dragging: false }
    seen.set(parentElement, state)
  }
  find(".control").hidden = !data.slider
  bars.hidden = state.facts.hidden = !data.names.length
  const show = (stop, settled) => {
    draw(state, data, stop)
    if (settled) bars.setAttribute("aria-label", data.alt[stop])
    if (!data.slider) return
    output.textContent = data.shown[stop]
    input.setAttribute("aria-valuetext", data.shown[stop])
    box.dataset.value = String(data.values[stop])
  }
  if (!data.slider) return show(0, true)
  // The range counts stops, so that uneven grids (beta towards 1) stay draggable; the value is values[stop].
  find("label").textContent = data.label
  if (state.dragging) return
  input.max = data.values.length - 1
  input.value = nearest(data.values, data.value)
  show(Number(input.value), true)
  input.oninput = () => { state.dragging = true; show(Number(input.value), false) }
  input.onchange = () => {
    state.dragging = false
    const stop = Number(input.value)
    show(stop, true)
    if (data.values[stop] !== data.value) setStateValue("value", data.values[stop])
  }
}
