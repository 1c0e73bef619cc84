import { SessionContext } from "@jupyterlab/apputils";
import { OutputArea, OutputAreaModel, SimplifiedOutputArea } from "@jupyterlab/outputarea";
import type { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import type { Kernel, KernelMessage, KernelSpec, ServiceManager } from "@jupyterlab/services";
import { registerWidgetManager } from "@jupyter-widgets/jupyterlab-manager";
import { Signal } from "@lumino/signaling";
import { Panel } from "@lumino/widgets";
import { Notice } from "./notice";

/**
 * Makes the Lab at the first call in a kernel; shows the same one at every later call, so that a reload finds its state.
 * Assigned, since Python would show what a last expression returns once more.
 */
const START = "import difflab.scenes.lab; lab = difflab.scenes.lab.start()";

const GONE: Kernel.Status[] = ["restarting", "autorestarting", "terminating", "dead"];

const ANSWER_WITHIN = 10_000; // ms

/** The content of the tab: a kernel of its own, one output that holds the Lab, and a notice. No cells, no code. */
export class LabPanel extends Panel {
  readonly session: SessionContext;
  private readonly output: SimplifiedOutputArea;
  private readonly notice = new Notice(() => void this.startAgain());
  private readonly manager: { dispose(): void };
  private initialised = false;
  private python: string | undefined; // the process that made the Lab, as it signs its messages
  private starting = false; // a kernel start is under way
  private run = 0;
  private gone = false; // the Python that made the Lab is not there any more
  private pending: Promise<unknown> = Promise.resolve();

  /** @param path names the session: a tab with the path of a living one attaches to its kernel. */
  constructor(
    private readonly services: ServiceManager.IManager,
    registry: IRenderMimeRegistry,
    readonly path: string,
  ) {
    super();
    this.addClass("difflab-tab");
    this.session = new SessionContext({
      sessionManager: services.sessions,
      specsManager: services.kernelspecs,
      kernelManager: services.kernels,
      path,
      name: "Diffusion Lab",
      type: "difflab",
    });
    const rendermime = registry.clone(); // one per tab: the widget manager puts its renderer in it
    this.manager = registerWidgetManager(
      this.widgetContext() as Parameters<typeof registerWidgetManager>[0],
      rendermime,
      [][Symbol.iterator](),
    );
    this.output = new SimplifiedOutputArea({ model: new OutputAreaModel({ trusted: true }), rendermime });
    this.addWidget(this.notice);
    this.addWidget(this.output);
    this.session.statusChanged.connect(this.onStatus, this);
    this.session.kernelChanged.connect(this.onKernel, this);
    this.session.iopubMessage.connect(this.onMessage, this);
  }

  /** Attach to the session of this path, or start one; then show the Lab. */
  open(): Promise<void> {
    return this.start("Starting Python …", async () => {
      await this.services.kernelspecs.ready;
      const name = pythonKernel(this.services.kernelspecs.specs);
      if (!name) throw new Error("this server has no Python kernel.");
      this.session.kernelPreference = { name, shutdownOnDispose: true };
      this.initialised = true; // even if it fails: a second call would wait for the first one for ever
      await this.session.initialize();
    });
  }

  /** A new Python with a new Lab, whatever became of the old one. */
  startAgain(): Promise<void> {
    const { session, gone } = this;
    if (!this.initialised) return this.open();
    return this.start("Starting Python again …", async () => {
      const kernel = session.session?.kernel;
      if (kernel && kernel.status !== "dead") {
        // The server starts a crashed Python again by itself: a restart in the middle of that would lose what we then ask.
        return gone && (await this.replaced(kernel)) ? undefined : session.restartKernel();
      }
      await this.services.sessions.refreshRunning(); // lets go of a session that was shut down elsewhere
      if (await session.startKernel()) throw new Error("this server has no Python kernel.");
    });
  }

  override dispose(): void {
    if (this.isDisposed) return;
    this.manager.dispose();
    const end = () => this.session.dispose(); // shutdownOnDispose ends the kernel
    void this.pending.then(end, end); // never in the middle of a start: that would leave a kernel without an owner
    super.dispose();
  }

  private async start(text: string, getKernel: () => Promise<void>): Promise<void> {
    if (this.starting) return; // a double click
    const run = ++this.run;
    let failure = "The Lab could not start: what Python said stands below.";
    let shown = false;
    this.starting = true;
    this.gone = false;
    this.output.model.clear();
    this.notice.starting(text);
    try {
      this.pending = getKernel().finally(() => (this.starting = false));
      await this.pending;
      if (this.isDisposed) return;
      this.notice.starting("Opening the Lab …");
      const reply = await OutputArea.execute(START, this.output, this.session);
      shown = reply?.content.status === "ok";
      this.python = reply?.header.session;
    } catch (error) {
      // Also when the kernel is restarted, or the tab closed, meanwhile.
      failure = `The Lab could not start: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (run !== this.run || this.isDisposed) return;
    if (shown) this.notice.done();
    else this.notice.stopped(failure);
  }

  /** Whether another process answers, on all channels, for the one that made the Lab; false also if none does in time. */
  private async replaced(kernel: Kernel.IKernelConnection): Promise<boolean> {
    const end = Date.now() + ANSWER_WITHIN;
    while (Date.now() < end) {
      const answer = kernel.requestKernelInfo().catch(() => undefined); // cancelled: the new one is not there yet
      const reply = await Promise.race([answer, pause(1000)]);
      if (reply) return reply.header.session !== this.python;
      await pause(200);
    }
    return false;
  }

  private onStatus(_: unknown, status: Kernel.Status): void {
    if (!this.starting && GONE.includes(status)) this.stopped();
  }

  /** When another page restarts Python, no status says so: the old one says goodbye, and the new one signs otherwise. */
  private onMessage(_: unknown, { header }: KernelMessage.IIOPubMessage): void {
    if (this.starting || !this.notice.isHidden) return;
    if ((header.msg_type as string) === "shutdown_reply" || header.session !== this.python) this.stopped();
  }

  private onKernel(_: unknown, change: { newValue: unknown }): void {
    if (!this.starting && !this.isDisposed && change.newValue === null) this.stopped();
  }

  /** The last picture stays: it can still be read and scrubbed. */
  private stopped(): void {
    this.gone = true;
    this.run += 1; // what is still being executed belongs to the old kernel
    this.notice.stopped("Python stopped. The picture is the last one; what was trained and not saved is lost.");
  }

  /** ipywidgets asks for a notebook's context; of it, it reads only these four members. */
  private widgetContext(): object {
    return {
      sessionContext: this.session,
      model: { getMetadata: () => undefined },
      saveState: new Signal<this, unknown>(this),
      urlResolver: {
        resolveUrl: async (url: string) => url,
        getDownloadUrl: async (url: string) => url,
      },
    };
  }
}

/** The kernel to use: "python3" where there is one, else the server's default or any other that speaks Python. */
function pythonKernel(specs: KernelSpec.ISpecModels | null): string | undefined {
  const all = specs?.kernelspecs ?? {};
  return ["python3", specs?.default ?? "", ...Object.keys(all)].find((name) => all[name]?.language === "python");
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
