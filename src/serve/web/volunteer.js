// The volunteer's page: join, look, answer, next.
import { Refused, Unreachable, get, keepToken, post } from "./api.js";
import { makeChip, prefetch } from "./chip.js";
import { Work } from "./outbox.js";
import { loadStrings, t } from "./strings.js";

const $ = (id) => document.getElementById(id);
const SECTIONS = ["join", "work", "done", "me"];
const PACK_SIZE = 20;
/** Longest time that counts for one answer: after it the volunteer was somewhere else. */
const AWAY_MS = 10 * 60_000;

const work = new Work(showSending, (number, reason) => trouble(t("rejected", { number, reason: t(`outcome_${reason}`) })));
const showChip = makeChip($("picture"), $("outline"), $("waiting"));
let me = null;
let scale = "close";
let look = 0;
let shownAt = 0;

function show(section) {
  for (const id of SECTIONS) $(id).hidden = id !== section;
  $("open-me").hidden = !me || section === "me";
}

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = text === "";
}

function announce(text) {
  $("announcer").textContent = text;
}

function showSending() {
  const { sent } = work.state;
  const stored = work.waiting;
  $("sending").textContent = !me ? "" : t(stored > 0 ? "stored" : "all_sent", { stored, sent });
}

// --- The picture at hand --------------------------------------------------------------------------

const pack = () => work.state.pack;
const task = () => pack()?.tasks[work.state.at];

function showTask(said = "") {
  const current = task();
  if (!current) return finishPack();
  show("work");
  const values = { number: work.state.at + 1, total: pack().tasks.length };
  const step = t(current.training ? "training" : "step", values);
  $("step").textContent = step;
  $("pack-progress").max = values.total;
  $("pack-progress").value = work.state.at;
  $("question").textContent = current.question || t("question");
  scale = "close";
  look = 0;
  shownAt = performance.now();
  showAnswer();
  showPicture();
  announce(`${said} ${step}`.trim());
  prefetch(pack().tasks.slice(work.state.at + 1));
}

async function showPicture() {
  const current = task();
  const { looks } = current;
  const here = looks[look];
  $("scale").textContent = t(scale === "close" ? "scale_to_context" : "scale_to_close");
  $("date").hidden = looks.length < 2;
  $("date").textContent = t("date_other", { number: look + 1, total: looks.length });
  const shown = await showChip(here[scale], t(`picture_${scale}`));
  if (!shown && current === task()) {
    trouble(t("picture_lost"));
    pack().tasks.splice(work.state.at, 1);
    work.save();
    showTask();
  }
}

function showAnswer() {
  const current = task();
  const answer = work.answerOf(current.task);
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.setAttribute("aria-pressed", String(button.dataset.answer === answer));
  }
  const told = current.training && answer !== null;
  $("feedback").hidden = !told;
  // What is told takes the place of the tools, so that all of it fits on a phone.
  $("tools").hidden = told;
  $("chip").classList.toggle("told", told);
  if (told) {
    const right = answer === current.training.answer;
    const verdict = right ? t("feedback_right") : t("feedback_wrong", { answer: t(current.training.answer) });
    $("feedback").textContent = [verdict, current.training.note, t("feedback_next")].filter(Boolean).join(" ");
  } else {
    $("feedback").textContent = "";
  }
  $("back").disabled = work.state.at === 0;
  $("forward").disabled = answer === null;
}

function answer(choice) {
  const current = task();
  // Until the picture is there, nobody can have seen it.
  if (!current || $("work").hidden || !$("waiting").hidden) return;
  trouble("");
  const milliseconds = Math.round(Math.min(performance.now() - shownAt, AWAY_MS));
  work.answer(current.task, current.looks[look][scale].hash, choice, milliseconds);
  if (current.training) {
    showAnswer();
    return;
  }
  move(1, t("answered", { answer: t(choice) }));
}

function move(by, said) {
  if (by > 0 && work.answerOf(task().task) === null) return;
  const to = work.state.at + by;
  if (to < 0) return;
  work.state.at = to;
  work.save();
  showTask(said);
}

// --- Packs ----------------------------------------------------------------------------------------

function done(title, text) {
  show("done");
  $("done-title").textContent = title;
  $("done-text").textContent = text;
  $("done-title").focus();
  announce(`${title} ${text}`);
}

function finishPack() {
  const total = pack()?.tasks.length ?? 0;
  done(t("pack_done_title"), t("pack_done_text", { total }));
  work.send().catch(failed);
}

async function nextPack() {
  trouble("");
  $("more").disabled = true;
  try {
    // What waits is sent first, so that the server knows what need not be asked again.
    await work.send();
    if (work.waiting > 0) return trouble(t("offline"));
    const next = await post("packs", { size: PACK_SIZE, resume: true });
    if (next.tasks.length === 0) {
      const why = next.nothing_left ?? "all_done";
      done(t("nothing_left_title"), t(`nothing_left_${why}`));
    } else {
      work.startPack(next);
      showTask();
    }
  } catch (error) {
    failed(error);
  } finally {
    $("more").disabled = false;
  }
}

// --- Joining, leaving -----------------------------------------------------------------------------

function failed(error) {
  if (error instanceof Unreachable) return trouble(t("offline"));
  if (error instanceof Refused && error.status === 401) {
    me = null;
    show("join");
    return showSending();
  }
  trouble(error instanceof Refused ? error.message : t("trouble", { reason: error.message }));
}

async function join(event) {
  event.preventDefault();
  trouble("");
  const [invite, nickname] = [$("invite").value.trim(), $("nickname").value.trim()];
  if (invite === "" || nickname === "") return trouble(t("join_missing"));
  if (!$("consent").checked) return trouble(t("join_consent_missing"));
  try {
    me = keepToken(await post("join", { invite, nickname, consent: true }));
    // The code may stand in the address: it need not stay there.
    history.replaceState(null, "", "/");
    showSending();
    await nextPack();
  } catch (error) {
    failed(error);
  }
}

async function openMe() {
  try {
    me = keepToken(await get("me"));
  } catch (error) {
    if (!(error instanceof Unreachable)) return failed(error);
  }
  const facts = [["me_nickname", me.nickname], ["me_answers", me.votes], ["me_waiting", work.waiting]];
  $("me-facts").replaceChildren(
    ...facts.flatMap(([name, value]) => {
      const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = t(name);
      definition.textContent = value;
      return [term, definition];
    }),
  );
  show("me");
  $("me-title").focus();
}

function closeMe() {
  if (task()) showTask();
  else nextPack();
}

async function forget(event) {
  event.preventDefault();
  if (!$("forget-sure").checked) return trouble(t("forget_sure_missing"));
  try {
    await work.send();
    await post("forget-me", {});
    work.clear();
    me = null;
    show("join");
    showSending();
    trouble(t("forgotten"));
  } catch (error) {
    failed(error);
  }
}

// --- Hands ----------------------------------------------------------------------------------------

const toggleScale = () => {
  scale = scale === "close" ? "context" : "close";
  showPicture();
};
const toggleOutline = () => {
  const pressed = $("outline-toggle").getAttribute("aria-pressed") !== "true";
  $("outline-toggle").setAttribute("aria-pressed", String(pressed));
  $("outline").style.visibility = pressed ? "visible" : "hidden";
};
const otherDate = () => {
  const { looks } = task();
  if (looks.length < 2) return;
  look = (look + 1) % looks.length;
  showPicture();
};

const KEYS = {
  1: () => answer("yes"),
  2: () => answer("no"),
  3: () => answer("unsure"),
  4: () => answer("bad_image"),
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  " ": toggleScale,
  o: toggleOutline,
  d: otherDate,
};

function key(event) {
  const free = !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat;
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || !free || $("work").hidden) return;
  // Space presses the button that has the focus.
  if (event.key === " " && event.target.closest("button")) return;
  event.preventDefault();
  action();
}

function wire() {
  $("join-form").addEventListener("submit", join);
  $("forget-form").addEventListener("submit", forget);
  $("more").addEventListener("click", nextPack);
  $("open-me").addEventListener("click", openMe);
  $("me-back").addEventListener("click", closeMe);
  $("back").addEventListener("click", () => move(-1));
  $("forward").addEventListener("click", () => move(1));
  $("scale").addEventListener("click", toggleScale);
  $("outline-toggle").addEventListener("click", toggleOutline);
  $("date").addEventListener("click", otherDate);
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.addEventListener("click", (event) => {
      // Whoever points does not mean to answer the next picture with the space bar.
      if (event.detail > 0) button.blur();
      answer(button.dataset.answer);
    });
  }
  document.addEventListener("keydown", key);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden" && me) work.send().catch(() => {});
  });
  window.addEventListener("online", () => me && work.send().catch(failed));
}

async function start() {
  await loadStrings();
  wire();
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) $("invite").value = code;
  try {
    me = keepToken(await get("me"));
  } catch (error) {
    if (error instanceof Unreachable && task()) {
      trouble(t("offline"));
      me = { nickname: "", votes: "" };
    } else {
      return failed(error);
    }
  }
  showSending();
  if (work.waiting > 0) work.send().catch(failed);
  if (task()) showTask();
  else nextPack();
}

start().catch(failed);
