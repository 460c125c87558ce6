//! The address bar: which sandbox, with which token. The token leaves it, where it would be seen and copied, but stays for a
//! reload of this browser tab, as does the number of the terminal.

export interface Ticket {
  readonly token: string;
  readonly terminalId: number;
}

/** The server said no. */
export class Refused extends Error {
  readonly status: number;
  /** What the sandbox is, when that is why. */
  readonly sandbox: string | null;

  constructor(status: number, sandbox: string | null) {
    super(`the server answered ${status}`);
    this.status = status;
    this.sandbox = sandbox;
  }
}

export class Host {
  readonly #session = location.pathname.split('/').filter(Boolean).at(-1) ?? '';
  readonly #base = new URL(this.#session, location.href).href;
  #token: string | null;
  #terminal: number | null;

  /** `renewed`: the address got another token, as by following a new link to the same sandbox. */
  constructor(renewed: () => void) {
    this.#token = this.#takeToken();
    this.#terminal = Number(this.#kept('terminal')) || null;
    addEventListener('hashchange', () => {
      this.#token = this.#takeToken();
      renewed();
    });
  }

  get hasToken(): boolean {
    return this.#token !== null;
  }

  /** The next ticket opens another terminal. */
  forget(): void {
    this.#terminal = null;
    this.#keep('terminal', null);
  }

  /** Leave to connect once: to the terminal that this tab had, while it is there, else to a new one. `again`: whether it is the same. */
  async ticket(cols: number, rows: number, offset: number): Promise<Ticket & { readonly again: boolean }> {
    const asked = this.#terminal;
    try {
      const ticket = await this.#ask({ cols, rows, ...(asked !== null && { terminalId: asked, offset }) });
      this.#terminal = ticket.terminalId;
      this.#keep('terminal', String(ticket.terminalId));
      return { ...ticket, again: ticket.terminalId === asked };
    } catch (error) {
      if (asked === null || !(error instanceof Refused) || error.status !== 404) throw error;
      this.forget();
      return this.ticket(cols, rows, 0);
    }
  }

  socketAddress(ticket: Ticket, offset: number): string {
    const query = new URLSearchParams({ token: ticket.token, offset: String(offset) });
    return `${this.#base.replace(/^http/, 'ws')}/ws?${query}`;
  }

  async #ask(body: object): Promise<Ticket> {
    const headers = { Authorization: `Bearer ${this.#token ?? ''}`, 'Content-Type': 'application/json' };
    const answer = await fetch(`${this.#base}/ticket`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (answer.ok) return (await answer.json()) as Ticket;
    const { status } = (await answer.json().catch(() => ({}))) as { status?: unknown };
    throw new Refused(answer.status, typeof status === 'string' ? status : null);
  }

  #takeToken(): string | null {
    const given = new URLSearchParams(location.hash.slice(1));
    const token = given.get('token');
    if (!token) return this.#kept('token');
    // The link may name a terminal that is open already.
    this.#keep('terminal', given.get('terminal'));
    if (this.#keep('token', token)) history.replaceState(history.state, '', location.pathname + location.search);
    return token;
  }

  /** Storage is refused in some frames; then a reload needs the whole link again, and the address keeps it. */
  #keep(name: string, value: string | null): boolean {
    try {
      const place = `vitrine.${name}.${this.#session}`;
      if (value === null) sessionStorage.removeItem(place);
      else sessionStorage.setItem(place, value);
      return true;
    } catch {
      return false;
    }
  }

  #kept(name: string): string | null {
    try {
      return sessionStorage.getItem(`vitrine.${name}.${this.#session}`);
    } catch {
      return null;
    }
  }
}
