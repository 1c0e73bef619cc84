/** The JupyterLab extension: a launcher card, two palette commands, and a workspace of its own open the Lab. */
import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import { PageConfig } from "@jupyterlab/coreutils";
import { ILauncher } from "@jupyterlab/launcher";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { IJupyterWidgetRegistry } from "@jupyter-widgets/base";
import { UUID } from "@lumino/coreutils";
import { icon } from "./icon";
import { LabPanel } from "./lab_panel";

const OPEN = "difflab:open";
const START_AGAIN = "difflab:start-again";
const TITLE = "Diffusion Lab";

/** `difflab lab` and Binder open JupyterLab at /lab/workspaces/difflab: this workspace always has a Lab. */
const WORKSPACE = "difflab";

type Tab = MainAreaWidget<LabPanel>;

const plugin: JupyterFrontEndPlugin<void> = {
  id: "difflab:plugin",
  description: "Opens the Diffusion Lab in a tab with a kernel of its own.",
  autoStart: true,
  // The widget registry is not used here, but without it there is no widget manager to register with.
  requires: [IRenderMimeRegistry, IJupyterWidgetRegistry],
  optional: [ICommandPalette, ILauncher, ILayoutRestorer, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    _: unknown,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    labShell: ILabShell | null,
  ) => {
    const { commands, shell } = app;
    const tracker = new WidgetTracker<Tab>({ namespace: "difflab" });

    commands.addCommand(OPEN, {
      label: TITLE,
      caption: "Open the Diffusion Lab in a tab with a Python of its own",
      icon,
      execute: (args) => {
        const path = typeof args.path === "string" ? args.path : `difflab-${UUID.uuid4()}`;
        const tab = openTab(app, rendermime, path);
        void tracker.add(tab);
        shell.add(tab, "main");
        shell.activateById(tab.id);
        return tab;
      },
    });
    commands.addCommand(START_AGAIN, {
      label: `${TITLE}: Start Again`,
      caption: "Stop the Python of this Diffusion Lab and start a new one",
      isEnabled: () => tracker.currentWidget !== null && tracker.currentWidget === shell.currentWidget,
      execute: () => tracker.currentWidget?.content.startAgain(),
    });
    const restored = restorer?.restore(tracker, {
      command: OPEN,
      args: (tab) => ({ path: tab.content.path }),
      name: (tab) => tab.content.path,
    });
    launcher?.add({ command: OPEN, category: "Other", rank: 1 });
    palette?.addItem({ command: OPEN, category: TITLE });
    palette?.addItem({ command: START_AGAIN, category: TITLE });
    if (PageConfig.getOption("workspace") === WORKSPACE) {
      // A Lab of the last visit is brought back first, with its kernel.
      void Promise.all([app.restored, restored]).then(() => {
        const tab = tracker.find(() => true);
        if (tab) return shell.activateById(tab.id);
        labShell?.collapseLeft(); // at the first visit: the Lab is what was asked for
        void commands.execute(OPEN);
      });
    }
  },
};

function openTab(app: JupyterFrontEnd, rendermime: IRenderMimeRegistry, path: string): Tab {
  const content = new LabPanel(app.serviceManager, rendermime, path);
  const tab = new MainAreaWidget({ content });
  tab.id = path;
  tab.title.label = TITLE;
  tab.title.icon = icon;
  tab.title.closable = true;
  tab.toolbar.hide(); // the Lab has a header of its own
  void content.open();
  return tab;
}

export default plugin;
