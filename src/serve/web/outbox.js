// Keeps answers on the device until the server has them. Each answer has an id made here, so that sending it
// again after a lost reply does no harm.
import { Refused, newId, post } from "./api.js";

const KEY = "kilnsight.work.1";
/** An answer waits this long before it is sent, so that a slip of the finger can be taken back unseen. */
const SETTLE_MS = 20_000;
const MOST_AT_ONCE = 50;
const TRY_AGAIN_MS = 15_000;

const empty = () => ({ pack: null, at: 0, answers: {}, outbox: [], sent: 0 });

/** The work of this device: the pack at hand, where in it, its answers, and what is still to be sent. */
export class Work {
  constructor(changed, refused) {
    this.changed = changed;
    this.refused = refused;
    this.timer = null;
    this.sending = null;
    this.state = empty();
    try {
      this.state = { ...this.state, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
    } catch {
      // What cannot be read was not written by this page.
    }
  }

  save() {
    try {
      localStorage.setItem(KEY, JSON.stringify(this.state));
    } catch {
      // Private windows may have no storage: the answers live as long as the page.
    }
    this.changed();
  }

  clear() {
    clearTimeout(this.timer);
    this.state = empty();
    localStorage.removeItem(KEY);
  }

  get waiting() {
    return this.state.outbox.length;
  }

  startPack(pack) {
    Object.assign(this.state, { pack, at: 0, answers: {} });
    this.save();
  }

  answerOf(task) {
    return this.state.answers[task]?.answer ?? null;
  }

  /** Records an answer, or changes one: unsent it is replaced, sent it is followed by a correction. */
  answer(task, hash, answer, milliseconds) {
    const known = this.state.answers[task];
    if (known?.answer === answer) return;
    const last = this.state.outbox.findLast((item) => item.task === task);
    if (last && !last.tried) {
      last.answer = answer;
    } else if (known) {
      this.state.outbox.push({ id: newId(), task, vote: known.vote, answer });
    } else {
      const { question_version } = this.state.pack;
      const item = { id: newId(), task, answer, hash, question_version, milliseconds };
      this.state.outbox.push(item);
      this.state.answers[task] = { vote: item.id };
    }
    this.state.answers[task].answer = answer;
    this.save();
    this.plan(SETTLE_MS);
  }

  plan(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), milliseconds);
  }

  /** Sends all that waits. Calls while one is under way join it. */
  send() {
    this.sending ??= this.sendAll().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  async sendAll() {
    while (this.state.outbox.length > 0) {
      // Corrections follow their votes: the order of the outbox is kept.
      const corrections = Boolean(this.state.outbox[0].vote);
      const other = this.state.outbox.findIndex((item) => Boolean(item.vote) !== corrections);
      const items = this.state.outbox.slice(0, Math.min(other < 0 ? MOST_AT_ONCE : other, MOST_AT_ONCE));
      for (const item of items) item.tried = true;
      this.save();
      try {
        const results = await this.post(items);
        this.settle(results);
      } catch (error) {
        if (error instanceof Refused && ![408, 425, 429].includes(error.status) && error.status < 500) {
          if (error.status === 401 || error.status === 403) throw error;
          this.refused(items.length, error.message);
          this.drop(items.map((item) => item.id));
          continue;
        }
        this.plan(error.retryAfter ? error.retryAfter * 1000 : TRY_AGAIN_MS);
        this.changed();
        return;
      }
    }
  }

  async post(items) {
    if (items[0].vote) {
      const corrections = items.map(({ id, vote, answer }) => ({ id, vote, answer }));
      return (await post("corrections", { corrections })).results;
    }
    const votes = items.map(({ id, task, answer, hash, question_version, milliseconds }) => ({
      id, task, answer, hash, question_version, milliseconds,
    }));
    return (await post("votes", { votes })).results;
  }

  settle(results) {
    const lost = results.filter((result) => !result.kept);
    this.state.sent += results.length - lost.length;
    this.drop(results.map((result) => result.id));
    if (lost.length > 0) this.refused(lost.length, lost[0].outcome);
  }

  drop(ids) {
    this.state.outbox = this.state.outbox.filter((item) => !ids.includes(item.id));
    this.save();
  }
}
