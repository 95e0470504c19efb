//! HTML as text: escaping, the frame of every page, the one style. Knows nothing of what is shown.

/// Text as it may stand between tags and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// A text with paragraphs, `code` and **bold**, as descriptions are written.
pub(super) fn marked(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|part| format!("<p>{}</p>", spans(part)));
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// `code` and **bold** within one line.
pub(super) fn spans(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("<code>{}</code>", escaped(part)));
            continue;
        }
        for (index, piece) in part.split("**").enumerate() {
            let piece = escaped(piece);
            out.push_str(&if index % 2 == 1 { format!("<strong>{piece}</strong>") } else { piece });
        }
    }
    out
}

pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// What was searched for.
    pub(super) query: &'a str,
    pub(super) navigation: &'a str,
    pub(super) main: &'a str,
}

pub(super) fn page(page: &Page<'_>) -> String {
    let (title, query) = (escaped(page.title), escaped(page.query));
    let (navigation, main) = (page.navigation, page.main);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header>\n<a href=\"/docs\">ATLVS API reference</a>\n\
         <form action=\"/docs\" method=\"get\" role=\"search\">\n\
         <label for=\"q\">Search operations</label>\n\
         <input id=\"q\" name=\"q\" type=\"search\" value=\"{query}\" maxlength=\"100\">\n\
         <button type=\"submit\">Search</button>\n</form>\n\
         <a href=\"/openapi.json\">OpenAPI document</a>\n</header>\n\
         <nav aria-label=\"Resources\">\n{navigation}</nav>\n\
         <main id=\"main\" tabindex=\"-1\">\n{main}</main>\n</body>\n</html>\n"
    )
}

/// Light and dark, from the reader's own setting: contrasts of 4.5 to 1 and more, what is clicked on
/// 24 px high, nothing wider than a narrow screen (WCAG 2.2, 1.4.3, 2.5.8, 1.4.10).
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#565f6a;--paper:#fff;--line:#d5dae0;--fill:#f4f6f8;\
--link:#0b57b0;--get:#0b6b3a;--post:#7a3e00;--gone:#a11217}\n\
@media(prefers-color-scheme:dark){:root{--ink:#e8ebef;--dim:#aab3bd;--paper:#14171b;--line:#39414a;\
--fill:#1e2328;--link:#8ab8ff;--get:#6fd39b;--post:#ffb86b;--gone:#ff9a9a}}\n\
*{box-sizing:border-box}\n\
body{margin:0;display:grid;grid-template:auto 1fr/17rem minmax(0,1fr);min-height:100vh;\
font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}\n\
header{grid-column:1/-1;display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:center;\
padding:.75rem 1.25rem;border-bottom:1px solid var(--line)}\n\
header>a:first-child{font-weight:650}\n\
form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;flex:1 1 16rem}\n\
input{flex:1;min-width:8rem;max-width:26rem}\n\
input,button{font:inherit;padding:.25rem .6rem;color:inherit;background:var(--fill);\
border:1px solid var(--dim);border-radius:.3rem}\n\
nav{padding:1rem 1.25rem;border-right:1px solid var(--line);font-size:.92rem}\n\
nav ul{list-style:none;margin:0 0 1rem;padding:0}\nnav li a{display:block;padding:.15rem 0}\nnav h2{font-size:.92rem;margin:.5rem 0 .2rem}\n\
main{padding:1rem 2rem 4rem;max-width:64rem;min-width:0}\n\
a{color:var(--link)}\nh1{font-size:1.7rem}\nh2{font-size:1.25rem;margin-top:2.5rem}\n\
section{border-top:1px solid var(--line);margin-top:2rem}\n\
h2 code,h3 code{overflow-wrap:anywhere}\n\
.method{font-size:.8em;margin-right:.5rem;color:var(--post)}\n.get{color:var(--get)}\n\
.delete{color:var(--gone)}\n.dim{color:var(--dim)}\n\
code,pre{font-family:ui-monospace,monospace;font-size:.92em}\n\
li code,p code{overflow-wrap:anywhere}\n\
pre{padding:.75rem 1rem;overflow:auto;background:var(--fill);border:1px solid var(--line);\
border-radius:.3rem}\n\
.wide{overflow-x:auto;border:0;margin:0}\n\
table{border-collapse:collapse;width:100%;font-size:.92rem}\n\
caption{text-align:left;font-weight:600;padding:.4rem 0}\n\
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;\
border-bottom:1px solid var(--line)}\n\
.skip{position:absolute;left:-99rem}\n.skip:focus{left:1rem;top:.5rem;background:var(--paper)}\n\
:target{outline:2px solid var(--link);outline-offset:.5rem}\n\
@media(max-width:48rem){body{display:block}nav{border-right:0}main{padding:1rem}}\n";
