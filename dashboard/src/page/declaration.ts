/** What `/duto/dashboard.json` holds: the `dashboard:` of the pipeline's file, with its defaults filled in. */

export type Format = 'text' | 'integer' | 'number' | 'currency' | 'percent' | 'duration' | 'date' | 'time' | 'datetime';

/** A text, or one a language. */
export type Text = string | Record<string, string>;

export interface Figure {
  value: string;
  title: Text;
  format: Format;
}

/** From which values on a gauge warns; where critical is below warning, low values are bad. */
export interface Thresholds {
  warning?: number;
  critical?: number;
}

export interface PanelDeclaration {
  kind: string;
  title: Text;
  /** The path of the endpoint that it shows. */
  from: string;
  format: Format;
  value?: string;
  label?: string;
  time?: string;
  minimum?: number;
  maximum?: number;
  thresholds?: Thresholds;
  detail?: Figure;
  series?: Figure[];
  columns?: Figure[];
}

export interface Declaration {
  pipeline: string;
  title: Text;
  locale: string;
  currency: string;
  panels: PanelDeclaration[];
  /** How a record is sent: `POST /events`. */
  send: string | null;
  /** The pipeline's file, where the server says it. */
  file?: string;
}

/** One row of an answer. */
export type Row = Record<string, unknown>;

/** An answer as rows: `row:` answers an object, `rows:` an array of them. */
export function rowsOf(answer: unknown): Row[] {
  if (Array.isArray(answer)) return answer as Row[];
  return answer !== null && typeof answer === 'object' ? [answer as Row] : [];
}

/** The paths that the panels show, each once. */
export function sourcesOf(panels: PanelDeclaration[]): string[] {
  return [...new Set(panels.map((panel) => panel.from))];
}
