/* Runs a Jobs client of the AWS IoT Device SDK for JavaScript v2 for a test. It reads requests and prints replies and
 * notifications as lines of JSON, with the names used in the MQTT payloads and times in epoch seconds.
 *
 * Its only argument is JSON: {client: "IotJobsClient" | "IotJobsClientv2", clientId, thing, host, port, ca, cert, key}.
 * Input: {operation, members}. Output: {connected}; {accepted} or {rejected} for each input line; {notify} or
 * {"notify-next"} for each notification; {disconnected} after the end of input; {failed} after any error. */

"use strict";

const { randomUUID } = require("node:crypto");
const { once } = require("node:events");
const readline = require("node:readline");
const { mqtt_request_response } = require("aws-crt");
const { iot, iotjobs, mqtt } = require("aws-iot-device-sdk-v2");

const AT_LEAST_ONCE = mqtt.QoS.AtLeastOnce;
const ESTABLISHED = mqtt_request_response.SubscriptionStatusEventType.SubscriptionEstablished;

const options = JSON.parse(process.argv[2]);
const thingName = options.thing;

function say(message) {
    const epochSeconds = function (key, value) {
        return this[key] instanceof Date ? this[key].getTime() / 1000 : value;
    };
    process.stdout.write(JSON.stringify(message, epochSeconds) + "\n");
}

async function connect() {
    const builder = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(options.cert, options.key);
    builder.with_certificate_authority_from_path(undefined, options.ca);
    builder.with_endpoint(options.host).with_port(options.port).with_client_id(options.clientId);
    builder.with_clean_session(true);
    const connection = new mqtt.MqttClient().new_connection(builder.build());
    await connection.connect();
    return connection;
}

/** Publishes requests, and receives replies through subscriptions made before. */
class PublishAndSubscribe {
    constructor(connection) {
        this.client = new iotjobs.IotJobsClient(connection);
        this.replies = new Map(); // client token -> function that handles the reply
    }

    async open() {
        const heard = (name) => (error, event) => say(error ? { failed: String(error) } : { [name]: event });
        await this.client.subscribeToJobExecutionsChangedEvents({ thingName }, AT_LEAST_ONCE, heard("notify"));
        await this.client.subscribeToNextJobExecutionChangedEvents({ thingName }, AT_LEAST_ONCE, heard("notify-next"));
    }

    async ask(operation, members) {
        const clientToken = randomUUID();
        const reply = new Promise((resolve) => this.replies.set(clientToken, resolve));
        for (const outcome of ["Accepted", "Rejected"]) {
            await this.client[`subscribeTo${operation}${outcome}`](
                { thingName, jobId: members.jobId }, AT_LEAST_ONCE, (error, found) => {
                    const resolve = this.replies.get(found?.clientToken);
                    // A duplicate of a reply has no entry any more.
                    if (error || !resolve) return say({ failed: error ? String(error) : "a reply to no request" });
                    this.replies.delete(found.clientToken);
                    resolve({ [outcome.toLowerCase()]: found });
                });
        }
        await this.client[`publish${operation}`]({ thingName, clientToken, ...members }, AT_LEAST_ONCE);
        return reply;
    }

    close() {}
}

/** The SDK subscribes and matches replies to requests. */
class RequestAndResponse {
    constructor(connection) {
        this.client = iotjobs.IotJobsClientv2.newFromMqtt311(connection, {
            maxRequestResponseSubscriptions: 2, maxStreamingSubscriptions: 2, operationTimeoutInSeconds: 10,
        });
    }

    async open() {
        const streams = {
            notify: this.client.createJobExecutionsChangedStream({ thingName }),
            "notify-next": this.client.createNextJobExecutionChangedStream({ thingName }),
        };
        for (const [name, stream] of Object.entries(streams)) {
            stream.on("incomingPublish", (event) => say({ [name]: event.message }));
            stream.on("incomingPublishError", (event) => say({ failed: String(event.error) }));
            const status = once(stream, "subscriptionStatus");
            stream.open();
            const [event] = await status;
            if (event.type !== ESTABLISHED) throw new Error(`no subscription to ${name}: ${event.error}`);
        }
    }

    async ask(operation, members) {
        const name = operation[0].toLowerCase() + operation.slice(1);
        try {
            return { accepted: await this.client[name]({ thingName, ...members }) };
        } catch (error) {
            if (error.modeledError === undefined) throw error;
            return { rejected: error.modeledError };
        }
    }

    close() {
        this.client.close();
    }
}

async function main() {
    const connection = await connect();
    const client = options.client === "IotJobsClientv2"
        ? new RequestAndResponse(connection) : new PublishAndSubscribe(connection);
    await client.open();
    say({ connected: true });
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const { operation, members } = JSON.parse(line);
        say(await client.ask(operation, members));
    }
    client.close();
    await connection.disconnect();
    say({ disconnected: true });
    // Exit explicitly: the SDK's native part may abort during Node.js's own clean-up.
    process.kill(process.pid, "SIGKILL");
}

main().catch((error) => {
    say({ failed: error.stack });
    process.exit(1);
});
