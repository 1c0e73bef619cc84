import { Widget } from "@lumino/widgets";

/** What the tab says when the Lab itself cannot: a whole page while Python starts, a line above the Lab when it stopped. */
export class Notice extends Widget {
  private readonly text = document.createElement("p");
  private readonly button = document.createElement("button");

  constructor(startAgain: () => void) {
    super();
    this.addClass("difflab-notice");
    const title = document.createElement("h1");
    title.textContent = "Diffusion Lab";
    const motion = document.createElement("div");
    motion.className = "difflab-notice-motion";
    motion.setAttribute("aria-hidden", "true");
    this.text.setAttribute("role", "status");
    this.button.type = "button";
    this.button.className = "jp-mod-styled jp-mod-accept";
    this.button.textContent = "Start again";
    this.button.addEventListener("click", startAgain);
    this.node.append(title, motion, this.text, this.button);
  }

  /** Nothing to see yet: the notice is the page. */
  starting(text: string): void {
    this.say("starting", text);
  }

  /** Python is gone or never came: a line with the button; what is on screen stays under it. */
  stopped(text: string): void {
    this.say("stopped", text);
  }

  /** The Lab speaks for itself. */
  done(): void {
    this.say("done", "");
  }

  private say(state: "starting" | "stopped" | "done", text: string): void {
    this.node.dataset.state = state;
    this.text.textContent = text;
    this.button.hidden = state !== "stopped";
    this.setHidden(state === "done");
  }
}
