/* A test's agent, built on the jobs module of the AWS IoT Device SDK for JavaScript v1: it runs the jobs of one thing.
 *
 * Its only argument is JSON: {thing, host, port, ca, cert, key}. It prints "listening" when it has asked for its first
 * job, then "initiated JOB", "ended JOB" or "failed JOB" for each update that it has sent. */

"use strict";

const { jobs } = require("aws-iot-device-sdk");

const options = JSON.parse(process.argv[2]);
const client = jobs({
    caPath: options.ca, certPath: options.cert, keyPath: options.key, host: options.host, port: options.port,
    clientId: options.thing,
});

/** A callback that stops the agent if an update could not be sent, and otherwise prints the event. */
function sent(what, job) {
    return (error) => {
        if (error) {
            throw error;
        }
        console.log(what, job.id);
    };
}

function handle(operation, handler) {
    client.subscribeToJobs(options.thing, operation, (error, job) => {
        if (error) {
            throw error;
        }
        handler(job);
    });
}

handle("systemStatus", (job) => {
    job.succeeded({ operation: job.operation, arch: process.arch, uptime: process.uptime() }, sent("ended", job));
});

handle("reboot", (job) => {
    job.inProgress({ operation: job.operation, step: "initiated" }, (error) => {
        sent("initiated", job)(error);
        job.succeeded({ operation: job.operation, step: "rebooted" }, sent("ended", job));
    });
});

client.subscribeToJobs(options.thing, (error, job) => {
    if (error) {
        throw error;
    }
    job.failed({ errorCode: "ERR_UNKNOWN", code: 7 }, sent("failed", job));
});

client.on("error", (error) => {
    throw error;
});

client.on("connect", () => {
    client.startJobNotifications(options.thing, (error) => {
        if (error) {
            throw error;
        }
        console.log("listening");
    });
});
