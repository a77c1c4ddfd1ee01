"""How the HTML report looks: on a screen, in the dark, and on A4."""

from hf_strategies.reports.palette import DARK, LIGHT


def _variables(palette: dict[str, str]) -> str:
    return "".join(f"--{name}:{color};" for name, color in palette.items())


STYLESHEET = (
    f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
"""
    + """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 44px 28px 60px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.015em; margin: 0; }
h2 { font-size: 18px; letter-spacing: -0.005em; margin: 46px 0 14px; }
h3 { font-size: 13px; font-weight: 600; margin: 0 0 6px; }
p { margin: 0; max-width: 74ch; }
.summary { color: var(--muted); margin-top: 8px; font-size: 16px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 28px 0 0; }
.tile { background: var(--panel); border-radius: 10px; padding: 14px 18px; margin: 0; }
.tile dt { color: var(--muted); font-size: 13px; }
.tile dd { margin: 2px 0 0; font-size: 25px; font-weight: 650; letter-spacing: -0.015em; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.notes { border-left: 3px solid var(--eval); background: var(--panel); border-radius: 0 10px 10px 0;
  margin: 20px 0 0; padding: 12px 18px 12px 34px; }
figure { margin: 0; }
figcaption { color: var(--muted); font-size: 13px; margin-top: 6px; }
.small-charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 26px;
  margin-top: 28px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--muted); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); fill: none; }
.mark { stroke: var(--muted); stroke-dasharray: 2 4; fill: none; }
.curve, .faint { stroke: var(--color); fill: none; stroke-linejoin: round; stroke-linecap: round; }
.curve { stroke-width: 2; }
.faint { stroke-width: 1; stroke-opacity: 0.33; }
.dot { fill: var(--color); stroke: var(--paper); stroke-width: 1.5; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; color: var(--muted); margin: 0 0 6px;
  padding: 0; list-style: none; }
.legend li::before { content: ""; display: inline-block; width: 20px; height: 0; border-top: 2.5px solid var(--color);
  vertical-align: 4px; margin-right: 7px; }
.legend .faint-key::before { opacity: 0.4; border-top-width: 1.5px; }
.sample { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; margin: 0 0 16px; }
.said { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 1px; background: var(--line); }
.said section { background: var(--paper); padding: 12px 16px 14px; }
.prompt { background: var(--panel); border-bottom: 1px solid var(--line); padding: 12px 16px; }
.sample h3 { color: var(--muted); }
pre { margin: 0; font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.command { background: var(--panel); border-radius: 10px; padding: 14px 18px; user-select: all; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th { text-align: left; font-weight: 600; color: var(--muted); }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td.name { font-weight: 550; }
td.where, td.topic { color: var(--muted); }
.columns { columns: 3 270px; column-gap: 34px; }
.columns table { break-inside: avoid; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(270px, 1fr)); gap: 10px 34px; }
.facts td:last-child, .columns td:last-child { text-align: right; padding-right: 0;
  font-variant-numeric: tabular-nums; }
.groups :is(th, td):not(:first-child, :last-child) { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
.caption { color: var(--muted); font-size: 13px; margin-top: 8px; }
.confusion { width: auto; font-variant-numeric: tabular-nums; }
.confusion :is(th, td) { border: 1px solid var(--line); padding: 4px 7px; text-align: center; vertical-align: middle;
  overflow-wrap: normal; }
.confusion tbody td { min-width: 46px; line-height: 1.25; }
.confusion tbody th { text-align: right; }
.confusion .corner { color: var(--muted); font-size: 12px; vertical-align: bottom; }
.confusion small { display: block; font-size: 10.5px; }
.many :is(th, td) { padding: 3px; }
.many tbody td { min-width: 36px; font-size: 12px; }
.many thead th { vertical-align: bottom; }
.many thead span { display: inline-block; max-height: 160px; overflow: hidden; white-space: nowrap;
  writing-mode: vertical-rl; transform: rotate(180deg); }
.confusion .right { background: color-mix(in srgb, var(--train) var(--strength), transparent); }
.confusion .wrong { background: color-mix(in srgb, var(--eval) var(--strength), transparent); }
.confusion .never { color: var(--muted); }
.scores :is(th, td):not(:first-child), .mistakes :is(th, td):nth-child(n + 4) { text-align: right;
  font-variant-numeric: tabular-nums; }
.mistakes td { vertical-align: middle; }
.mistakes :is(th, td):not(:first-child) { overflow-wrap: normal; }
.mistakes img { display: block; width: 64px; image-rendering: pixelated; }
.pairs td:first-child { color: var(--muted); }
footer { color: var(--muted); font-size: 13px; margin-top: 46px; }
@media screen and (max-width: 640px) {
  main { padding: 28px 18px 40px; }
  .said { grid-auto-flow: row; }
  .large svg text { font-size: 22px; }
  td.topic, thead th:first-child:nth-last-child(4) { display: none; }
}
@page { size: A4; margin: 15mm 14mm; }
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2 { margin-top: 26px; break-after: avoid; }
  h3 { break-after: avoid; }
  .tile, .sample, figure, tr, .notes, .command { break-inside: avoid; }
  .tiles { grid-template-columns: repeat(4, 1fr); }
  .tile dd { font-size: 17pt; }
  .small-charts { grid-template-columns: repeat(3, 1fr); gap: 16px; }
  .facts { grid-template-columns: repeat(2, 1fr); }
  .columns { columns: 2; }
  .large svg text { font-size: 14px; }
  table { font-size: 9pt; }
  th, td { padding: 3px 10px 3px 0; }
  .many tbody td { min-width: 0; font-size: 7pt; }
  pre { font-size: 8.5pt; }
  thead { display: table-header-group; }
}
"""
)
