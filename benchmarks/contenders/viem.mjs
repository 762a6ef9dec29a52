// viem as its users do best: multicall with 1,000 calls a chunk. Run by node with the folder of its
// packages; a line of JSON comes in, one goes out, as in worker.py. Every value is checked.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const packages = process.argv[2];
const { createPublicClient, http } = await import(pathToFileURL(join(packages, "viem/_esm/index.js")));

const MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const CALL_BYTES = 36;
const CALLS_AT_ONCE = 1_000;
const NUMBER = [{ name: "", type: "uint256" }];
const view = (name, argument) => [
  { name, type: "function", stateMutability: "view", inputs: [{ name: argument, type: "address" }], outputs: NUMBER },
];
const BALANCE_OF = view("balanceOf", "owner");
const ETH_BALANCE = view("getEthBalance", "addr");

const address = (text) => "0x" + createHash("sha256").update(text).digest("hex").slice(0, 40);
const addresses = (kind, count) => Array.from({ length: count }, (_, number) => address(`${kind} ${number}`));

function rawAmount(wallet, column) {
  const prime = 1_000_003;
  let mixed = (wallet * 7_919 + column * 104_729 + wallet * column * 31 + 12_345) % prime;
  mixed = Number((BigInt(mixed) * BigInt(mixed)) % BigInt(prime));
  if (mixed % 100 >= (wallet % 10 === 0 ? 90 : 45)) return 0n;
  if (column % 8 === 7) return BigInt(mixed + 1) * 1_000n + 7n;
  return BigInt(mixed + 1) * 10n ** BigInt(10 + (mixed % 5)) + BigInt(mixed);
}

function memory(name) {
  try {
    return Number(readFileSync("/proc/self/status", "ascii").match(new RegExp(`${name}:\\s+(\\d+)`))[1]) / 1024;
  } catch {
    return 0;
  }
}

function resetPeak() {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Not on this system; the peak is then that of the whole process.
  }
}

async function readOne(client, wallets, tokens) {
  const contracts = [];
  for (const wallet of wallets) {
    contracts.push({ address: MULTICALL3, abi: ETH_BALANCE, functionName: "getEthBalance", args: [wallet] });
    for (const token of tokens) {
      contracts.push({ address: token, abi: BALANCE_OF, functionName: "balanceOf", args: [wallet] });
    }
  }
  return client.multicall({ contracts, multicallAddress: MULTICALL3, batchSize: CALL_BYTES * CALLS_AT_ONCE });
}

function wrongCells(found, wallets, width) {
  let wrong = 0;
  for (let wallet = 0; wallet < wallets; wallet++) {
    for (let column = 0; column < width; column++) {
      if (found[wallet * width + column]?.result !== rawAmount(wallet, column)) wrong++;
    }
  }
  return wrong;
}

const afterImport = memory("VmRSS");
let clients = [];
let urls = [];
const open = () => urls.map((url) => createPublicClient({ transport: http(url, { timeout: 60_000 }) }));

async function obey(command) {
  if (command.do === "open") {
    urls = command.urls;
    clients = open();
    return {};
  }
  const wallets = addresses("wallet", command.wallets);
  const tokens = addresses("token", command.tokens);
  resetPeak();
  const cpu = process.cpuUsage();
  const started = performance.now();
  if (command.cold) clients = open();
  const all = [];
  const seconds = [];
  let from = started;
  for (let time = 0; time < command.times; time++) {
    all.push(...(await Promise.all(clients.map((client) => readOne(client, wallets, tokens)))));
    seconds.push((performance.now() - from) / 1_000);
    from = performance.now();
  }
  const used = process.cpuUsage(cpu);
  const peak = memory("VmHWM");
  return {
    seconds,
    cpu: (used.user + used.system) / 1e6 / command.times,
    wrong: all.reduce((sum, one) => sum + wrongCells(one, wallets.length, 1 + tokens.length), 0),
    growth_mib: peak - afterImport,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await obey(JSON.parse(line));
  } catch (error) {
    answer = { error: `${error.name}: ${error.shortMessage ?? error.message}`.slice(0, 200) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
