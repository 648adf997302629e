/** What each way to run the program decides for its master. */
import type { Plan } from "./plan.ts";
import type { Report } from "./report.ts";
import type { SignalTable } from "./signals.ts";
import type { Listening } from "./sockets.ts";

export interface MasterOptions {
  readonly plan: Plan;
  /** The plan as it is now. Throws ConfigError or StartError. */
  readonly load: () => Plan | Promise<Plan>;
  /** Another plan is in force from now on. */
  readonly onPlan?: (plan: Plan) => void;
  readonly signals: SignalTable;
  /** A reload begins anew with everything; else only the application's workers are replaced. */
  readonly renewWebWorkers: boolean;
  /** … but for plans whose web sides are the same: then the web workers stay. */
  readonly sameWebSide?: (before: Plan, after: Plan) => boolean;
  readonly report: Report;
  /** Opens the master's own log anew. Throws the system's error. */
  readonly reopenLog: () => void;
  readonly upgrade?: UpgradeSettings;
  /** Sockets are bound, the pid file is there. */
  readonly onBound?: () => void;
  /** The program before, whose sockets these are, has ended: this is the one that counts. */
  readonly onPromoted?: () => void;
  /** Everything answers. */
  readonly onServing?: () => void;
}

/** What only a program that can be replaced by another one while it serves has to know. */
export interface UpgradeSettings {
  /** The command line that starts it. */
  readonly command: readonly string[];
  /** What the one before has handed over; undefined: there is none. */
  readonly inherited: readonly Listening[] | undefined;
  /**
   * Which of the two has another name for its pid file: with Nginx the old program (`.oldbin`), with Gunicorn the new one (`.2`),
   * until the old one has ended.
   */
  readonly renames: "old" | "new";
}
