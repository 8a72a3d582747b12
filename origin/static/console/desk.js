// The operators' API, as the console asks it: by the session's cookie, and with proof that it is the console.

const token = document.querySelector("meta[name=csrf-token]").content;

export function logInAgain() {
  location.assign("/console/login");
}

// {ok, status, body, etag, taken}; body.detail says what went wrong. taken: publishers act on it.
export async function ask(method, path, { body, etag } = {}) {
  const headers = { "X-CSRF-Token": token };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (etag !== undefined) headers["If-Match"] = etag;
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    return { ok: false, status: 0, body: { detail: "the service can't be reached" } };
  }
  if (answer.status === 401) logInAgain();
  const text = await answer.text();
  let parsed = {};
  try {
    parsed = text ? JSON.parse(text) : {};
  } catch {
    parsed = { detail: `status ${answer.status}` };
  }
  return {
    ok: answer.ok, status: answer.status, body: parsed,
    etag: answer.headers.get("ETag") ?? "*", taken: answer.status !== 202,
  };
}

export const valuePath = (name) => `/api/values/${encodeURIComponent(name)}`;

// What to say of an answer.
export function said(answer, done) {
  if (!answer.ok) return answer.body.detail ?? `status ${answer.status}`;
  return answer.taken ? done : `${done}; no publisher has taken it yet`;
}
