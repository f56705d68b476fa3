// What every client asks, and the one shape in which each tells what came of it.
import { z } from "zod";

export const HELLO = "Say something.";
export const WEATHER = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const SUNNY = "sunny";
export const City = z.object({ name: z.string(), people: z.number().int() });
// One red pixel.
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

// calls: [{name, arguments}], arguments read from their JSON; usage: {input, cached, output, reasoning, cost}, null
// where the client keeps none
export const said = (text, { calls = [], stop = null, usage = null } = {}) => ({ text, calls, stop, usage });
