import { describe, expect, test } from "bun:test";

import { safeAddress } from "../../assets/chat/markdown/sanitize";
import { html } from "./pipeline";

describe("model text is hostile", () => {
  test("HTML is text, wherever it stands", () => {
    for (const tag of [
      "<script>alert(1)</script>",
      "<img src=x onerror=alert(1)>",
      "<iframe srcdoc=x></iframe>",
      "<!-- x -->",
      "<style>*{}</style>",
    ]) {
      for (const text of [
        tag,
        `a ${tag} b`,
        `- ${tag}`,
        `> ${tag}`,
        `| a |\n|---|\n| ${tag} |`,
        `# ${tag}`,
        `<div>\n\n${tag}\n\n</div>`,
      ]) {
        const made = html(text);
        expect(made).not.toMatch(/<(script|img|iframe|style|div|!--)/);
        expect(made.replaceAll("&lt;", "<")).toContain(tag);
      }
    }
  });

  test("no image is loaded, however it is written: it becomes a link", () => {
    for (const text of [
      "![a](https://evil.example/?q=1)",
      "![a][1]\n\n[1]: https://evil.example/?q=1",
      "![a][]\n\n[a]: https://evil.example/?q=1",
    ]) {
      expect(html(text)).toMatch(/^<p><a className="image-link" href="https:\/\/evil.example\/\?q=1"[^>]*>a<\/a><\/p>/);
    }
    expect(html("![a](data:image/png;base64,AAAA)")).toBe('<p><span className="image-link">a</span></p>');
    expect(html("[![a](https://evil.example/i.png)](https://example.org/)")).not.toContain("<img");
  });

  test("only absolute web and mail addresses are links", () => {
    const bad = [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)",
      "data:text/html,x",
      "vbscript:x",
      "/stream?query=x",
      "//evil.example/x",
      "file:///etc/passwd",
      "blob:x",
      "#a",
      "irc://x",
      "&#106;avascript:alert(1)",
    ];
    for (const address of bad) expect(html(`[a](<${address}>)`)).toBe("<p><span>a</span></p>");
    for (const address of ["https://example.org/a", "http://example.org/", "mailto:a@example.org"]) {
      expect(html(`[a](${address})`)).toContain(`href="${address}"`);
    }
  });

  test("a line break is the one tag that is understood, and not in code", () => {
    expect(html("a<br>b<br/>c `<br>`")).toBe("<p>a<br></br>\nb<br></br>\nc <code>&lt;br></code></p>");
    expect(html("&lt;br&gt; and \\<br>")).toBe("<p>&lt;br> and &lt;br></p>");
  });
});

test("the page's own addresses are no links: a click would be a request to the app", () => {
  expect(safeAddress("http://localhost:3000/stream?query=x", "http://localhost:3000")).toBeNull();
  expect(safeAddress("http://localhost:3001/", "http://localhost:3000")).toBe("http://localhost:3001/");
});
