/** The topics, asked for again and again while the page is seen. */

import { api, type Topic, type TopicList } from './api.ts';

const INTERVAL_MS = 1000;

export class Topics {
  list = $state.raw<TopicList | null>(null);
  /** Why the last question had no answer, and since when. */
  failure = $state.raw<{ reason: string; since: number } | null>(null);

  /** Answers how to end it. */
  begin(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const look = async () => {
      clearTimeout(timer);
      try {
        this.list = await api.topics();
        this.failure = null;
      } catch (problem) {
        this.failure = { reason: problem instanceof Error ? problem.message : String(problem), since: this.failure?.since ?? Date.now() };
      }
      if (!isOver && !document.hidden) timer = setTimeout(look, INTERVAL_MS);
    };
    const seen = () => {
      if (!document.hidden) void look();
    };
    document.addEventListener('visibilitychange', seen);
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }

  named(name: string | null): Topic | undefined {
    return this.list?.topics.find((topic) => topic.name === name);
  }
}
