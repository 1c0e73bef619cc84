/** The picture of a panel as a PNG: its canvases where they stand, its words where they are written, on the panel's colour. */

import { wantAll } from "./sight";

/** Device pixels per CSS pixel of a saved picture, at least: it may end on a projector. */
const SHARP = 2;
/** Controls are not part of a picture; what a screen reader alone hears is not either. */
const LEFT_OUT = ".difflab-deck, .difflab-time, button, select, input, [hidden], .difflab-withheld";

/** The panel drawn on a canvas of its own. */
export function pictureOf(panel: HTMLElement): HTMLCanvasElement {
  const ratio = Math.max(SHARP, window.devicePixelRatio || 1);
  const frame = panel.getBoundingClientRect();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(frame.width * ratio);
  canvas.height = Math.round(bottomOf(panel, frame) * ratio);
  const context = canvas.getContext("2d")!;
  context.fillStyle = getComputedStyle(panel).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(ratio, ratio);
  context.translate(-frame.left, -frame.top);
  for (const source of panel.querySelectorAll("canvas")) {
    const { left, top, width, height } = source.getBoundingClientRect();
    if (source.width && source.height && width && height) context.drawImage(source, left, top, width, height);
  }
  for (const text of wordsOf(panel)) drawWords(context, text);
  return canvas;
}

/** Let the browser download the panel's picture, called after its title. What was not in sight is brought up to date. */
export async function savePicture(panel: HTMLElement): Promise<void> {
  wantAll(panel);
  await Promise.resolve(); // uPlot draws at the end of the task
  const title = panel.getAttribute("aria-label") ?? "difflab";
  const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, ""); // prettier-ignore
  pictureOf(panel).toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name || "difflab"}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download may begin late
  }, "image/png");
}

/** Where the picture ends: above the controls. */
function bottomOf(panel: HTMLElement, frame: DOMRect): number {
  const tops = [...panel.querySelectorAll(".difflab-deck, .difflab-time")]
    .map((el) => el.getBoundingClientRect())
    .filter((box) => box.height > 0)
    .map((box) => box.top - frame.top);
  return Math.min(frame.height, ...tops);
}

function wordsOf(panel: HTMLElement): Text[] {
  const found: Text[] = [];
  const walker = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode as Text;
    const parent = text.parentElement!;
    if (text.data.trim() !== "" && !parent.closest(LEFT_OUT) && parent.checkVisibility()) found.push(text);
  }
  return found;
}

/** A text node, line by line as the browser broke it. */
function drawWords(context: CanvasRenderingContext2D, text: Text): void {
  const style = getComputedStyle(text.parentElement!);
  context.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  context.fillStyle = style.color;
  context.textBaseline = "middle";
  const range = document.createRange();
  let line: { words: string; box: DOMRect } | null = null;
  const flush = () => line && context.fillText(line.words, line.box.left, line.box.top + line.box.height / 2);
  for (const { index, 0: word } of text.data.matchAll(/\S+\s*/g)) {
    range.setStart(text, index);
    range.setEnd(text, index + word.trimEnd().length);
    const box = range.getBoundingClientRect();
    if (line && Math.abs(line.box.top - box.top) < 2) line.words += word;
    else {
      flush();
      line = { words: word, box };
    }
  }
  flush();
}
