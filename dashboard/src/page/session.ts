/** Who the page is shown to. Where nobody has to sign in there is no name. */
export interface Session {
  name: string | null;
  /** `read`, `ingest`, `operate`. */
  roles: string[];
  by_cookie: boolean;
}

let asked: Promise<Session | null> | undefined;

/** Asks once, whoever of the page wants to know. */
export function askSession(): Promise<Session | null> {
  return (asked ??= ask());
}

async function ask(): Promise<Session | null> {
  try {
    const response = await fetch('/duto/session');
    return response.ok ? ((await response.json()) as Session) : null;
  } catch {
    return null;
  }
}

/** After a 401 the session is over: the page, asked again, is the form to sign in. Asked for at most once. */
export function leaveAfter(status: number): void {
  if (status === 401 && !isLeaving) {
    isLeaving = true;
    location.reload();
  }
}

let isLeaving = false;
