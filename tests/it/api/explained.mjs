// Runs the dashboard's own code on what the API says, over as much of a document as it needs, and prints the obstacles that a person reads.
import { readFileSync } from "node:fs";

class Element {
  constructor(tag) { Object.assign(this, { tag, children: [] }); }
  setAttribute() {}
  addEventListener() {}
  append(...children) { this.children.push(...children); }
  get text() {
    const text = this.children.map((child) => child.text ?? String(child)).join("");
    return ["p", "li"].includes(this.tag) ? `${text}\n` : text;
  }
  find(tag) {
    if (this.tag === tag) return this;
    return this.children.filter((child) => child.find).map((child) => child.find(tag)).find(Boolean);
  }
}

globalThis.document = { createElement: (tag) => new Element(tag) };
const [code, report, why] = process.argv.slice(2);
const { detail } = await import(code);
const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const shown = detail(read(report), null, [], read(why), () => {});
process.stdout.write(shown.find("ol")?.text ?? "");
