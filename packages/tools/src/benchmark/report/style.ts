/** Levels of shade of the confusion matrix. */
export const HEAT_LEVELS = 10;

const heat = Array.from({ length: HEAT_LEVELS }, (_, i) => {
  const share = Math.round(12 + (i * 78) / (HEAT_LEVELS - 1));
  const ink = share > 55 ? 'color:var(--on-strong)' : '';
  return `.hit.h${i + 1}{background:color-mix(in srgb,var(--good) ${share}%,var(--card));${ink}}.miss.h${i + 1}{background:color-mix(in srgb,var(--bad) ${share}%,var(--card));${ink}}`;
}).join('');

export const STYLE = `
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1a1f27;--soft:#5b6573;--line:#dfe3e8;--accent:#2f6fde;--good:#1c8a5a;--bad:#c8403a;--warn:#b7791f;--on-strong:#fff}
@media (prefers-color-scheme:dark){:root{--page:#12161c;--card:#1a2029;--ink:#e8ecf2;--soft:#9aa6b5;--line:#2d3642;--accent:#6ea2ff;--good:#3fbf85;--bad:#f0736b;--warn:#e0ab4f;--on-strong:#0d1117}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 12px}
p{margin:0 0 8px}
.soft{color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin-top:20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:12px;margin-top:20px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:23px;line-height:1.25;font-variant-numeric:tabular-nums}
.tile.main b{color:var(--accent)}
.tile span{color:var(--soft);font-size:13px}
.scroll{overflow:auto;max-height:640px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
table.wide{width:100%}
th,td{padding:6px 10px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:600;font-size:13px}
th:first-child,td:first-child{text-align:left;max-width:320px;overflow:hidden;text-overflow:ellipsis}
thead th{position:sticky;top:0;background:var(--card)}
tbody tr:last-child td{border-bottom:0}
meter{width:72px;height:9px;margin-left:8px;vertical-align:1px}
.matrix td{text-align:center;min-width:38px;padding:5px 6px;border:2px solid var(--card);border-radius:4px;font-size:13px}
.matrix th{max-width:120px;overflow:hidden;text-overflow:ellipsis;border:0;font-size:12px;padding:4px 8px}
.matrix thead th{text-align:center}
.zero{color:var(--soft)}
${heat}
.columns{display:flex;flex-wrap:wrap;gap:28px;align-items:flex-start}
.chart{max-width:100%;height:auto}
.chart text{fill:var(--soft);font-size:11px}
.grid{stroke:var(--line)}
.ideal{stroke:var(--soft);stroke-dasharray:5 4}
.bar{fill:var(--accent)}
.dot{fill:var(--warn)}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(168px,1fr));gap:16px;margin:0;padding:0;list-style:none}
.gallery.large{grid-template-columns:repeat(auto-fill,minmax(280px,1fr))}
.gallery figure{margin:0}
.frame{position:relative;background:var(--page);border-radius:8px;overflow:hidden;display:flex;align-items:flex-start}
.frame img{display:block;width:100%;height:auto;flex:1 1 0;min-width:0}
.pixelated img{image-rendering:pixelated}
.boxes{position:absolute;inset:0;width:100%;height:100%}
.box{fill:none;stroke-width:2}
.tag{paint-order:stroke;stroke:#000b;stroke-width:.14em;font-weight:600}
.box.found{stroke:#35d07f}.tag.found{fill:#35d07f}
.box.wrong{stroke:#ff5a52}.tag.wrong{fill:#ff5a52}
.box.missed{stroke:#ffc53d;stroke-dasharray:6 4}.tag.missed{fill:#ffc53d}
figcaption{font-size:13px;margin-top:6px;overflow-wrap:anywhere}
.is{color:var(--good);font-weight:600}.not{color:var(--bad);font-weight:600}
.key{display:inline-block;width:12px;height:12px;border-radius:3px;vertical-align:-1px;margin:0 5px 0 12px}
.key.found{background:#35d07f}.key.wrong{background:#ff5a52}.key.missed{background:#ffc53d}
ul.notes{margin:0;padding-left:18px;color:var(--soft)}
`;
