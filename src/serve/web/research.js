// The researchers' page: log in, hand out the invitation code, watch the progress.
import { Refused, get, keepToken, post } from "./api.js";
import { loadStrings, t } from "./strings.js";

const $ = (id) => document.getElementById(id);
const SECTIONS = ["login", "setup", "desk"];
const REFRESH_MS = 15_000;

let timer = null;

function show(section) {
  for (const id of SECTIONS) $(id).hidden = id !== section;
  $("log-out").hidden = section !== "desk";
}

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = text === "";
}

function failed(error) {
  if (error instanceof Refused && error.status === 401 && !$("desk").hidden) return leave();
  trouble(error instanceof Refused ? error.message : t("trouble", { reason: error.message }));
}

function facts(list, pairs) {
  list.replaceChildren(
    ...pairs.flatMap(([name, value]) => {
      const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = t(name);
      definition.textContent = value ?? t("r_unknown");
      return [term, definition];
    }),
  );
}

const rounded = (value) => (typeof value === "number" ? value.toFixed(3) : null);

async function refresh() {
  const [progress, agreement] = await Promise.all([get("progress"), get("agreement")]);
  const { statuses } = progress;
  const decided = progress.tasks - statuses.unverified;
  $("decided").max = Math.max(progress.tasks, 1);
  $("decided").value = decided;
  facts($("progress"), [
    ["r_decided", t("r_of", { number: decided, total: progress.tasks })],
    ...Object.entries(statuses).map(([status, number]) => [`r_status_${status}`, number]),
    ["r_votes", progress.votes],
    ["r_volunteers", progress.volunteers],
  ]);
  facts($("agreement"), [
    ["r_alpha", rounded(agreement.krippendorff_alpha)],
    ["r_kappa", rounded(agreement.fleiss_kappa)],
    ["r_positive", rounded(agreement.positive_agreement)],
    ["r_negative", rounded(agreement.negative_agreement)],
  ]);
}

function row(cells) {
  const line = document.createElement("tr");
  line.append(
    ...cells.map((cell) => {
      const item = document.createElement("td");
      item.textContent = cell;
      return item;
    }),
  );
  return line;
}

async function members() {
  const { members: all } = await get("members");
  const heads = ["r_member_name", "r_member_role", "r_member_votes", "r_member_controls", "r_member_fast"];
  $("members-head").replaceChildren(
    ...heads.map((name) => {
      const head = document.createElement("th");
      head.scope = "col";
      head.textContent = t(name);
      return head;
    }),
  );
  $("members").replaceChildren(
    ...all.map((m) => row([m.nickname, t(`r_role_${m.role}`), m.votes, `${m.controls_right} / ${m.controls}`, m.too_fast])),
  );
}

function invitation({ invite }) {
  $("invite").textContent = invite;
  // After the # the code stays in the browser: no server or proxy writes it down.
  $("invite-link").textContent = `${location.origin}/#code=${invite}`;
}

async function desk(session) {
  keepToken(session);
  trouble("");
  $("who").textContent = session.name;
  show("desk");
  const admin = session.role === "admin";
  for (const id of ["members-card", "reader-form", "renew"]) $(id).hidden = !admin;
  await refresh();
  if (admin) {
    invitation(await get("invite"));
    await members();
  }
  clearInterval(timer);
  timer = setInterval(() => document.visibilityState === "visible" && refresh().catch(failed), REFRESH_MS);
}

function leave() {
  clearInterval(timer);
  $("who").textContent = "";
  $("reader-token").textContent = "";
  show("login");
}

function wire() {
  $("login-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = { name: $("name").value, password: $("password").value };
    $("password").value = "";
    post("login", given).then(desk).catch(failed);
  });
  $("setup-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = { token: $("setup-token").value.trim(), name: $("setup-name").value, password: $("setup-password").value };
    post("setup", given)
      .then((session) => {
        history.replaceState(null, "", "/research");
        for (const id of ["setup-token", "setup-password"]) $(id).value = "";
        return desk(session);
      })
      .catch(failed);
  });
  $("reader-form").addEventListener("submit", (event) => {
    event.preventDefault();
    post("readers", { label: $("reader-label").value })
      .then(({ token }) => {
        $("reader-token").textContent = token;
      })
      .catch(failed);
  });
  $("renew").addEventListener("click", () => post("invite").then(invitation).catch(failed));
  $("log-out").addEventListener("click", () => post("logout").then(leave).catch(failed));
}

async function start() {
  await loadStrings();
  wire();
  const token = new URLSearchParams(location.hash.slice(1)).get("setup");
  if (token) {
    $("setup-token").value = token;
    return show("setup");
  }
  try {
    await desk(await get("session"));
  } catch (error) {
    if (!(error instanceof Refused && error.status === 401)) throw error;
    show("login");
  }
}

start().catch(failed);
