/** One chart: lines with their min-max band, events, zoom by dragging, moving by touch and keys. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { fixed, quantity, unitSign } from "../../format";
import { t } from "../../texts";
import { dark } from "../../theme";
import { Lane } from "./Lane";
import { type Happening, sortOf } from "./marks";
import type { Moments } from "./span";
import { envelope, type Numbers, type Table, type Track } from "./table";
import { moment, tickLabels } from "./ticks";

/** How one line looks and is called. */
export interface Look {
  label: string;
  unit: string;
  decimals: number;
  color: string; // a colour, or the name of a CSS variable
  dash: boolean;
}

export interface ChartProps {
  name: string;
  looks: Look[];
  units: string[];
  table: Table;
  shown: Moments;
  events: Happening[];
  lane: boolean; // marks for the events above the plot
  sync: string;
  many: boolean; // one band around all lines instead of one around each
  onZoom: (start: number, end: number) => void;
  onOut: () => void;
}

// Steps of a y axis: with a 2.5 among them ticks would need one decimal more than the values have.
const STEPS = [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((first) => Number(`${first}e${power}`)));
const FEW = 8; // lines of which the legend has room for long names
const LINES_APART = 14; // pixels
const MANY_POINTS = 30; // fewer rows than this are also marked with dots

export function Chart(props: ChartProps) {
  const { looks, units, table, shown, many } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  const [at, setAt] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [near, setNear] = useState<number | null>(null);
  const [box, setBox] = useState({ left: 0, width: 0 });
  latest.current = props;

  const banded = table.banded && !many;
  const form = JSON.stringify([looks, units, banded, many, dark.value]);

  useLayoutEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = build(element, latest, banded, { setAt, setNear, setBox });
    plot.current = made;
    hidden.forEach((line) => made.setSeries(1 + line, { show: false }));
    const stopTouch = followTouch(made, latest);
    const watch = new ResizeObserver(() => made.setSize(sizeOf(element)));
    watch.observe(element);
    return () => {
      watch.disconnect();
      stopTouch();
      made.destroy();
      plot.current = null;
    };
  }, [form]);

  useEffect(() => {
    const made = plot.current;
    if (!made) return;
    made.batch(() => {
      made.setData(dataOf(latest.current.table, banded, many), false);
      made.setScale("x", { min: shown.start, max: shown.end });
    });
  }, [table, shown.start, shown.end, form]);

  useEffect(() => plot.current?.redraw(false), [props.events]);

  const toggle = (line: number) => {
    const now = new Set(hidden);
    if (!now.delete(line)) now.add(line);
    setHidden(now);
    plot.current?.setSeries(1 + line, { show: !now.has(line) });
    if (banded) {
      const first = 1 + looks.length + 2 * line;
      plot.current?.setSeries(first, { show: !now.has(line) });
      plot.current?.setSeries(first + 1, { show: !now.has(line) });
    }
  };

  return (
    <div class="history-chart">
      <div class="history-top">
        <span class="history-unit" aria-hidden="true">{unitSign(units[0] ?? "")}</span>
        {props.lane && <Lane events={props.events} shown={shown} box={box} />}
        <span class="history-unit" aria-hidden="true">{unitSign(units[1] ?? "")}</span>
      </div>
      <div class={`history-plot${many ? " tall" : ""}`} ref={host} />
      <Legend {...props} at={at} near={near} hidden={hidden} toggle={toggle} focus={(line) => plot.current?.setSeries(line === null ? null : 1 + line, { focus: true })} />
    </div>
  );
}

interface LegendProps extends ChartProps {
  at: number | null;
  near: number | null;
  hidden: ReadonlySet<number>;
  toggle: (line: number) => void;
  focus: (line: number | null) => void;
}

/** Return the value of a line at a place of the axis: its own newest row before it, as long as no gap lies between. */
function valueAt(track: Track, at: number): { min: number; avg: number; max: number } | null {
  for (let place = at; place >= 0 && place > at - 16; place--) {
    const avg = track.avg[place];
    if (avg === null) return null;
    if (avg !== undefined) return { min: track.min[place] ?? avg, avg, max: track.max[place] ?? avg };
  }
  return null;
}

function Legend({ looks, table, at, near, hidden, toggle, focus }: LegendProps) {
  const place = at ?? table.times.length - 1;
  const time = table.times[place];
  return (
    <div class="history-legend">
      <p class="history-when">{time === undefined ? "" : at === null ? t("history.newest", { time: moment(time) }) : moment(time)}</p>
      <ul class={looks.length > FEW ? "many" : ""}>
        {looks.map((look, line) => {
          const track = table.tracks[line];
          const value = track && place >= 0 ? valueAt(track, place) : null;
          const unit = unitSign(look.unit);
          const spread = value && value.max - value.min >= 0.5 / 10 ** look.decimals;
          return (
            <li key={look.label} class={near === line ? "near" : ""}>
              <button
                type="button"
                aria-pressed={!hidden.has(line)}
                onClick={() => toggle(line)}
                onMouseEnter={() => focus(line)}
                onMouseLeave={() => focus(null)}
                title={t("history.toggle_line", { name: look.label })}
              >
                <i class={look.dash ? "dash" : ""} style={{ "--line": look.color.startsWith("--") ? `var(${look.color})` : look.color }} />
                <span class="name">{look.label}</span>
                <span class="value">{quantity(value?.avg ?? null, unit, look.decimals)}</span>
                <span class="spread">{spread ? `${fixed(value.min, look.decimals)} … ${fixed(value.max, look.decimals)}` : ""}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(element.clientWidth, 120), height: Math.max(element.clientHeight, 120) };
}

function dataOf(table: Table, banded: boolean, many: boolean): uPlot.AlignedData {
  const lines = table.tracks.map((track) => track.avg);
  let bands: Numbers[] = [];
  if (banded) bands = table.tracks.flatMap((track) => [track.max, track.min]);
  if (many) {
    const around = envelope(table.tracks, table.times.length);
    bands = [around.max, around.min];
  }
  return [table.times, ...lines, ...bands] as uPlot.AlignedData;
}

/** Return the y range around the values: some room, never a range so small that noise looks like a storm. */
export function rangeOf(unit: string, low: number | null, high: number | null): [number, number] {
  const least = { W: 50, V: 0.02, A: 2, "%": 4, degC: 4 }[unit] ?? 0;
  if (low === null || high === null) return unit === "%" ? [0, 100] : [0, least || 1];
  if (unit === "W" || unit === "A") [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  const lack = Math.max(0, least - (high - low)) / 2;
  const room = (high - low) * 0.06 + (low === high && least === 0 ? Math.abs(low) * 0.05 || 1 : 0);
  [low, high] = [low - lack - room, high + lack + room];
  return unit === "%" ? [Math.max(low, 0), Math.min(high, 100)] : [low, high];
}

/** Return how many decimals the ticks of an axis need. */
export function decimalsOf(step: number): number {
  return [0, 1, 2, 3].find((decimals) => Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) < 1e-6) ?? 4;
}

interface Tell {
  setAt: (at: number | null) => void;
  setNear: (line: number | null) => void;
  setBox: (box: { left: number; width: number }) => void;
}

function build(element: HTMLElement, latest: { current: ChartProps }, banded: boolean, tell: Tell): uPlot {
  const { looks, units, sync, many, table } = latest.current;
  const style = getComputedStyle(element);
  const color = (name: string): string => (name.startsWith("--") ? style.getPropertyValue(name).trim() || style.color : name);
  const faint = (name: string, share: number): string => `color-mix(in srgb, ${color(name)} ${share}%, transparent)`;
  let box = { left: 0, width: 0 };
  const [grid, words] = [color("--history-grid"), color("--history-words")];
  const font = `12px ${style.fontFamily}`;
  const scaleOf = (unit: string): string => `y${Math.max(0, units.indexOf(unit))}`;
  const hiddenLine = (look: Look): uPlot.Series => ({ scale: scaleOf(look.unit), stroke: "transparent", width: 0, points: { show: false } });

  const lines = looks.map(
    (look): uPlot.Series => ({
      label: look.label,
      scale: scaleOf(look.unit),
      stroke: color(look.color),
      width: many ? 1.25 : 1.75,
      dash: look.dash ? [6, 4] : [],
      points: { show: table.times.length < MANY_POINTS, size: 5 },
      spanGaps: false,
    }),
  );
  const bandLines = banded ? looks.flatMap((look) => [hiddenLine(look), hiddenLine(look)]) : [];
  const first = 1 + looks.length;
  const bands: uPlot.Band[] = banded
    ? looks.map((look, line) => ({ series: [first + 2 * line, first + 2 * line + 1], fill: faint(look.color, 22) }))
    : [];
  const lead = looks[0];
  if (many && lead) {
    bandLines.push(hiddenLine(lead), hiddenLine(lead));
    bands.push({ series: [first, first + 1], fill: faint("--history-words", 14) });
  }

  const yAxis = (unit: string, side: 1 | 3): uPlot.Axis => ({
    scale: scaleOf(unit),
    side,
    font,
    stroke: words,
    grid: { show: side === 3, stroke: grid, width: 1 },
    ticks: { show: false },
    gap: 6,
    space: 34,
    incrs: STEPS,
    // At least so wide that charts below each other mostly line up.
    size: (_plot, values) => Math.max(52, Math.ceil(Math.max(...(values ?? [""]).map((text) => text.length)) * 7 + 12)),
    values: (_plot, splits, _axis, _space, step) => splits.map((value) => fixed(value, decimalsOf(step))),
  });

  const options: uPlot.Options = {
    ...sizeOf(element),
    legend: { show: false },
    padding: [10, units.length > 1 ? 0 : 14, 0, 0],
    scales: {
      x: { time: true, auto: false },
      ...Object.fromEntries(units.map((unit) => [scaleOf(unit), { range: (_plot: uPlot, low: number | null, high: number | null) => rangeOf(unit, low, high) }])),
    },
    axes: [
      {
        font,
        stroke: words,
        grid: { stroke: grid, width: 1 },
        ticks: { stroke: grid, width: 1, size: 5 },
        space: 74,
        size: 44,
        gap: 4,
        values: (_plot, splits, _axis, _space, step) => tickLabels(splits, step),
      },
      ...units.map((unit, place) => yAxis(unit, place === 0 ? 3 : 1)),
    ],
    series: [{}, ...lines, ...bandLines],
    bands,
    focus: { alpha: many ? 0.25 : 0.35 },
    cursor: {
      sync: { key: sync, scales: ["x", null] },
      focus: { prox: many ? 18 : -1 },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7, show: (many ? false : undefined) as unknown as uPlot.Cursor.Points.Show },
      bind: {
        dblclick: () => () => {
          latest.current.onOut();
          return null;
        },
      },
    },
    hooks: {
      setCursor: [(made) => tell.setAt(made.cursor.idx ?? null)],
      setSeries: [(_made, line) => tell.setNear(many && line !== null && line > 0 && line <= looks.length ? line - 1 : null)],
      setSelect: [
        (made) => {
          const { left, width } = made.select;
          if (width > 6) latest.current.onZoom(made.posToVal(left, "x"), made.posToVal(left + width, "x"));
          if (width > 0) made.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      drawAxes: [(made) => drawZero(made, units, color("--history-zero"))],
      draw: [
        (made) => {
          drawEvents(made, latest.current.events, color);
          const now = { left: made.bbox.left / devicePixelRatio, width: made.bbox.width / devicePixelRatio };
          if (now.left !== box.left || now.width !== box.width) tell.setBox((box = now));
        },
      ],
    },
  };
  return new uPlot(options, dataOf(table, banded, many), element);
}

/** Draw the line of zero stronger than the grid where the value has a sign. */
function drawZero(made: uPlot, units: readonly string[], color: string): void {
  const scale = made.scales.y0;
  if (!scale || (units[0] !== "W" && units[0] !== "A") || (scale.min ?? 1) > 0 || (scale.max ?? -1) < 0) return;
  const y = Math.round(made.valToPos(0, "y0", true)) + 0.5;
  line(made.ctx, made.bbox.left, y, made.bbox.left + made.bbox.width, y, color, []);
}

function drawEvents(made: uPlot, events: readonly Happening[], color: (name: string) => string): void {
  const { left, top, width, height } = made.bbox;
  let before = -Infinity;
  for (const event of events) {
    const x = Math.round(made.valToPos(event.time, "x", true)) + 0.5;
    // Where there are many, a line each would hide the chart.
    if (x < left || x > left + width || x - before < LINES_APART * devicePixelRatio) continue;
    before = x;
    line(made.ctx, x, top, x, top + height, color(`--history-${sortOf(event.kind)}`), [2 * devicePixelRatio, 3 * devicePixelRatio]);
  }
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number, color: string, dash: number[]): void {
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = Math.max(1, Math.round(devicePixelRatio));
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
  ctx.restore();
}

/** Move with one finger, zoom with two; the page still scrolls up and down. */
function followTouch(made: uPlot, latest: { current: ChartProps }): () => void {
  const fingers = new Map<number, number>();
  let begin: { places: number[]; min: number; max: number } | null = null;
  let now: Moments | null = null;
  const over = made.over;

  const restart = () => {
    const { min, max } = made.scales.x ?? {};
    begin = fingers.size > 0 && min != null && max != null ? { places: [...fingers.values()], min, max } : null;
  };
  const down = (event: PointerEvent) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, event.clientX);
    over.setPointerCapture(event.pointerId);
    restart();
  };
  const move = (event: PointerEvent) => {
    if (!fingers.has(event.pointerId) || !begin) return;
    fingers.set(event.pointerId, event.clientX);
    now = touched(begin, [...fingers.values()], over.getBoundingClientRect());
    made.setScale("x", { min: now.start, max: now.end });
  };
  const up = (event: PointerEvent) => {
    if (!fingers.delete(event.pointerId)) return;
    restart();
    if (fingers.size > 0 || !now) return;
    const { start, end } = latest.current.shown;
    const pixel = (end - start) / over.clientWidth;
    if (Math.abs(now.start - start) > 4 * pixel || Math.abs(now.end - end) > 4 * pixel) latest.current.onZoom(now.start, now.end);
    now = null;
  };
  over.addEventListener("pointerdown", down);
  over.addEventListener("pointermove", move);
  over.addEventListener("pointerup", up);
  over.addEventListener("pointercancel", up);
  return () => {
    over.removeEventListener("pointerdown", down);
    over.removeEventListener("pointermove", move);
    over.removeEventListener("pointerup", up);
    over.removeEventListener("pointercancel", up);
  };
}

/** Return what is shown after fingers moved from their first places: the moments under them stay under them. */
export function touched(begin: { places: number[]; min: number; max: number }, places: number[], box: { left: number; width: number }): Moments {
  const length = begin.max - begin.min;
  const timeAt = (x: number): number => begin.min + ((x - box.left) / box.width) * length;
  const [one = 0, other] = places;
  const [oneBefore = 0, otherBefore] = begin.places;
  if (other === undefined || otherBefore === undefined || Math.abs(other - one) < 10) {
    const by = ((one - oneBefore) / box.width) * length;
    return { start: begin.min - by, end: begin.max - by };
  }
  const perPixel = Math.abs((timeAt(otherBefore) - timeAt(oneBefore)) / (other - one));
  const start = timeAt(oneBefore) - (one - box.left) * perPixel;
  return { start, end: start + perPixel * box.width };
}

