// The contracts, read from the .proto files, and their times as milliseconds.
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const PROTO = process.env.DEVTEAM_PROTO ?? fileURLToPath(new URL("../../proto", import.meta.url));
// protobufjs brings google/api/annotations.proto along.
const GOOGLE = dirname(createRequire(import.meta.url).resolve("protobufjs/package.json"));

const loaded = loadSync(["devteam/v1/registry.proto", "devteam/v1/worker.proto"], {
  includeDirs: [PROTO, GOOGLE], keepCase: true, enums: String, longs: Number, oneofs: true, defaults: true,
});
const { RegistryService, WorkerService } = grpc.loadPackageDefinition(loaded).devteam.v1;

// A Router that was gone is found again within these times.
const OPTIONS = {
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.max_receive_message_length": 4 * 1024 * 1024,
};

export const registryAt = (address) => clientOf(RegistryService, address);
export const routerAt = (address) => clientOf(WorkerService, address);
export const { status } = grpc;

export const toMs = (duration) => (duration ? duration.seconds * 1000 + duration.nanos / 1e6 : null);
export const fromMs = (ms) => ({ seconds: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1e6) });

// An address is "host:port", http://host:port, or https://host:port (TLS).
function clientOf(Service, address) {
  const [, scheme, target] = /^(?:(https?):\/\/)?(.*?)\/?$/.exec(address);
  const secure = scheme === "https";
  return new Service(target, secure ? grpc.credentials.createSsl() : grpc.credentials.createInsecure(), OPTIONS);
}
