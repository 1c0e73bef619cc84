/**
 * Tables of schedules that the browser has no formula for, asked of Python while a slider moves: the latest wins.
 *
 * One question at a time is under way, and only the newest one waits: nothing queues behind the slider. An answer to a
 * question that was overtaken is shown only if nothing newer was.
 */
import type { Schedule } from "../core/schedule";
import { remember, type Table } from "../core/schedule_tables";
import type { SceneState, Store } from "../core/store";

/** What Python answers: the schedule, its table, and the token of the question. */
export interface TableAnswer extends Schedule {
  readonly token: number;
  readonly table?: Table;
}

const PATIENCE_MS = 3000; // an error has no answer: what waits is asked all the same

export interface TableRequest {
  /** The schedule that was asked for last and is not there yet. */
  readonly wanted: Schedule | null;
  ask(schedule: Schedule): void;
  forget(): void;
}

export function tableRequest(
  store: Store<SceneState & { table: TableAnswer | null }>,
  onAnswer: (schedule: Schedule) => void,
  signal: AbortSignal,
): TableRequest {
  let token = Date.now(); // a page that was loaded again must not take the old page's answers for its own
  let shown = token;
  let wanted: Schedule | null = null;
  let waiting = false;
  let under = 0; // the token under way, 0 for none
  let patience: ReturnType<typeof setTimeout> | undefined;
  const send = () => {
    if (!wanted || signal.aborted) return;
    waiting = false;
    under = ++token;
    clearTimeout(patience);
    patience = setTimeout(next, PATIENCE_MS);
    store.request("table", { token, name: wanted.name, params: wanted.params });
  };
  const next = () => {
    under = 0;
    clearTimeout(patience);
    if (waiting) send();
  };
  store.on(
    "table",
    () => {
      const answer = store.get("table");
      if (!answer) return;
      remember(answer);
      if (answer.token <= shown || answer.token > token) return; // of another view, or overtaken
      shown = answer.token;
      if (answer.token === token && !waiting) wanted = null;
      const mine = under !== 0;
      if (answer.token === under) next();
      if (mine) onAnswer({ name: answer.name, params: answer.params, table: answer.table });
    },
    signal,
  );
  signal.addEventListener("abort", () => clearTimeout(patience), { once: true });
  return {
    get wanted() {
      return wanted;
    },
    ask(schedule) {
      wanted = schedule;
      if (under) waiting = true;
      else send();
    },
    forget() {
      wanted = null;
      waiting = false;
      under = 0;
      shown = token;
    },
  };
}
