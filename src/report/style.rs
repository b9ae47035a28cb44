//! The style sheet of every page.
//!
//! May import: nothing. Must keep true: no address outside the file; light and dark.

/// Series colours that `--c0` to `--c7` name.
pub const COLOURS: usize = 8;

/// The style sheet.
pub const CSS: &str = "\
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1c2024;--soft:#60646c;--line:#e2e3e6;--best:#0b7a4b;--bestbg:#e8f6ee;\
--warn:#8a5300;--warnbg:#fff4e0;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b5489a;--c4:#a07800;--c5:#3f9bd8;--c6:#6a5acd;--c7:#6b7280}\n\
@media(prefers-color-scheme:dark){:root{--bg:#121316;--card:#1a1c20;--ink:#eceef1;--soft:#a0a5ae;--line:#31343a;--best:#5fd39b;\
--bestbg:#16301f;--warn:#f5c26b;--warnbg:#33270f;--c0:#57aeea;--c1:#ff8a4c;--c2:#38cfa3;--c3:#e68bcc;--c4:#e5bf3d;--c5:#9bd2f7;\
--c6:#a89cff;--c7:#aab0ba}}\n\
*{box-sizing:border-box}\n\
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\n\
main{max-width:1200px;margin:0 auto;padding:32px 20px 56px}\n\
h1{margin:0;font-size:28px;line-height:1.2;letter-spacing:-.01em}\n\
h2{margin:0 0 12px;font-size:17px}\n\
.q{margin:6px 0 0;font-size:17px;color:var(--soft)}\n\
.facts{margin:6px 0 16px;font-size:13px;color:var(--soft)}\n\
.verdict{margin:22px 0;padding:14px 18px;border-left:4px solid var(--best);background:var(--bestbg);border-radius:4px;font-size:16px}\n\
.warn{margin:0 0 22px;padding:12px 18px;border-left:4px solid var(--warn);background:var(--warnbg);border-radius:4px}\n\
.warn ul{margin:4px 0 0;padding-left:20px}\n\
section{margin:0 0 22px;padding:18px 20px;background:var(--card);border:1px solid var(--line);border-radius:8px}\n\
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:22px}\n\
@media(max-width:520px){.two{grid-template-columns:1fr}}\n\
.scroll{overflow-x:auto}\n\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13.5px}\n\
th,td{padding:6px 7px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}\n\
th{font-weight:600;color:var(--soft);font-size:12.5px;vertical-align:bottom;line-height:1.3}\n\
th small{display:block;font-weight:400}\n\
tbody tr:last-child td,tbody tr:last-child th{border-bottom:0}\n\
.l,tbody th{text-align:left}\n\
tbody th{color:var(--ink);font-size:14px}\n\
td.best{color:var(--best);font-weight:650}\n\
td.sum{font-weight:650}\n\
.dot{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:8px}\n\
.tag{margin-left:6px;padding:1px 6px;border-radius:9px;background:var(--warnbg);color:var(--warn);font-size:11.5px;font-weight:600}\n\
.legend{margin:10px 0 0;padding:0;list-style:none;color:var(--soft);font-size:13px}\n\
.keys{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;font-size:13px}\n\
.keys svg{vertical-align:middle;margin-right:6px}\n\
figure{margin:0}\n\
figcaption{color:var(--soft);font-size:13px;margin:-8px 0 8px}\n\
svg.chart{display:block;width:100%;height:auto}\n\
svg text{fill:var(--ink);font-size:12px;font-family:inherit}\n\
svg .t{fill:var(--soft);font-size:11.5px}\n\
svg .g{stroke:var(--line);stroke-width:1}\n\
svg .lead{stroke:var(--soft);stroke-width:.8}\n\
svg .curve{fill:none;stroke-width:2;stroke-linejoin:round}\n\
svg .line{fill:none;stroke-width:1.6;stroke-linejoin:round}\n\
svg .halo{stroke:var(--card);stroke-width:3px;paint-order:stroke;stroke-linejoin:round}\n\
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 16px;margin:0;font-size:14px}\n\
dt{font-weight:600}\n\
dd{margin:0;color:var(--soft)}\n\
@media(max-width:640px){dl{grid-template-columns:1fr}}\n\
@media print{section{break-inside:avoid}}\n";
