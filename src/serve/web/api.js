// Talks to the server. Every change carries the token that only this page knows.
let csrf = "";

/** The server said no: `status`, and its problem details. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `HTTP ${status}`);
    this.status = status;
    this.kind = (problem.type ?? "").split(":").pop();
    this.retryAfter = problem.retry_after ?? null;
  }
}

/** There was no answer: no network, or no server. */
export class Unreachable extends Error {}

/** Remembers the token, which the server tells with every answer about the session. */
export function keepToken(session) {
  csrf = session.csrf;
  return session;
}

async function send(method, path, body) {
  const options = { method, headers: { Accept: "application/json" }, cache: "no-store", credentials: "same-origin" };
  if (method !== "GET") {
    options.headers["Content-Type"] = "application/json";
    options.headers["X-CSRF-Token"] = csrf;
    options.body = JSON.stringify(body ?? {});
  }
  let response;
  try {
    response = await fetch(`/api/v1/${path}`, options);
  } catch {
    throw new Unreachable("no answer");
  }
  const text = await response.text();
  let answer = {};
  try {
    answer = text === "" ? {} : JSON.parse(text);
  } catch {
    throw new Unreachable("no answer from kilnsight");
  }
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

export const get = (path) => send("GET", path);
export const post = (path, body) => send("POST", path, body);
export const remove = (path) => send("DELETE", path);

/** 128 random bits: the name of an answer, made here, so that sending it twice does no harm. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
