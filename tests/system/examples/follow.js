// Prints every event of a run as the browser client tells it: bun follow.js <server> <run> <after>
import { Streamchat } from "../../../assets/streamchat-client.js";

const [url, run, after] = process.argv.slice(2);
for await (const event of new Streamchat({ url }).follow(run, { after: Number(after) })) console.log(JSON.stringify(event));
