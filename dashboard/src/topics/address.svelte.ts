/** What a person may send to a colleague, in the address behind `#`: the topic, what of it is shown, and the message that is open. */

export interface Place {
  topic: string | null;
  /** As it stands in the filter's box. */
  filter: string;
  partition: number | null;
  /** Where to begin, as it was typed: `0:120`, or a time. */
  at: string | null;
  /** The page below these marks. */
  before: string | null;
  /** The open message, `0:17`. */
  open: string | null;
  follow: boolean;
}

const NOWHERE: Omit<Place, 'topic'> = { filter: '', partition: null, at: null, before: null, open: null, follow: false };

class TopicsAddress {
  place = $state.raw<Place>(read());

  constructor() {
    const again = () => (this.place = read());
    addEventListener('popstate', again);
    addEventListener('hashchange', again);
  }

  /** Another topic begins at its newest messages. */
  choose(topic: string | null): void {
    this.#write({ topic, ...NOWHERE }, true);
  }

  /** `isStep`: the browser's back button undoes it. */
  go(change: Partial<Place>, isStep = false): void {
    this.#write({ ...this.place, ...change }, isStep);
  }

  #write(place: Place, isStep: boolean): void {
    this.place = place;
    const parameters = new URLSearchParams(location.hash.slice(1));
    const set = (name: keyof Place, value: string | number | null) =>
      value === null || value === '' ? parameters.delete(name) : parameters.set(name, String(value));
    for (const name of ['topic', 'filter', 'partition', 'at', 'before', 'open'] as const) set(name, place[name]);
    set('follow', place.follow ? '1' : null);
    // Commas and colons are allowed in a fragment, and easier to read.
    const hash = parameters.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
    const address = hash ? `#${hash}` : location.pathname + location.search;
    if (isStep) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
  }
}

function read(): Place {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const partition = parameters.get('partition') ?? '';
  return {
    topic: parameters.get('topic'),
    filter: parameters.get('filter') ?? '',
    partition: /^\d+$/.test(partition) ? Number(partition) : null,
    at: parameters.get('at'),
    before: parameters.get('before'),
    open: parameters.get('open'),
    follow: parameters.get('follow') === '1',
  };
}

export const address = new TopicsAddress();
