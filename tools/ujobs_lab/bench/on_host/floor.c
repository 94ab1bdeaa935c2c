/* A device that does jobs with mosquitto's client library, and nothing more than it takes: the floor for the others.
   Replies are searched for what is needed, not parsed. Arguments: host, port, thing, folder of the certificates, jobs
   after which it ends, 0 for never. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mosquitto;
struct mosquitto_message { int mid; char *topic; void *payload; int payloadlen; int qos; bool retain; };
int mosquitto_lib_init(void);
struct mosquitto *mosquitto_new(const char *id, bool clean_session, void *obj);
void mosquitto_connect_callback_set(struct mosquitto *, void (*)(struct mosquitto *, void *, int));
void mosquitto_subscribe_callback_set(struct mosquitto *, void (*)(struct mosquitto *, void *, int, int, const int *));
void mosquitto_message_callback_set(struct mosquitto *,
                                    void (*)(struct mosquitto *, void *, const struct mosquitto_message *));
void mosquitto_publish_callback_set(struct mosquitto *, void (*)(struct mosquitto *, void *, int));
int mosquitto_tls_set(struct mosquitto *, const char *ca, const char *path, const char *cert, const char *key, void *);
int mosquitto_int_option(struct mosquitto *, int option, int value);
int mosquitto_connect(struct mosquitto *, const char *host, int port, int keepalive);
int mosquitto_subscribe_multiple(struct mosquitto *, int *mid, int, char *const *const, int qos, int, const void *);
int mosquitto_publish(struct mosquitto *, int *mid, const char *topic, int, const void *payload, int qos, bool retain);
int mosquitto_loop(struct mosquitto *, int timeout, int);
int mosquitto_disconnect(struct mosquitto *);

#define TCP_NODELAY_OPTION 11 /* MOSQ_OPT_TCP_NODELAY */

static char prefix[256], topic[512];
static int left, last = -1, ended;

static void start_next(struct mosquitto *client) {
    snprintf(topic, sizeof topic, "%sstart-next", prefix);
    mosquitto_publish(client, NULL, topic, 2, "{}", 1, false);
}

static void connected(struct mosquitto *client, void *unused, int code) {
    static char next[512], accepted[512];
    char *filters[] = {next, accepted};
    (void)unused;
    if (code) exit(1);
    snprintf(next, sizeof next, "%snotify-next", prefix);
    snprintf(accepted, sizeof accepted, "%sstart-next/accepted", prefix);
    mosquitto_subscribe_multiple(client, NULL, 2, filters, 1, 0, NULL);
}

static void subscribed(struct mosquitto *client, void *unused, int mid, int count, const int *granted) {
    (void)unused; (void)mid; (void)count; (void)granted;
    start_next(client);
}

static void received(struct mosquitto *client, void *unused, const struct mosquitto_message *message) {
    static char text[65536], reply[] = "{\"status\":\"SUCCEEDED\",\"statusDetails\":{\"steps\":\"1\"}}";
    char *found, *end;
    (void)unused;
    if (message->payloadlen >= (int)sizeof text) return;
    memcpy(text, message->payload, message->payloadlen);
    text[message->payloadlen] = 0;
    found = strstr(text, "\"jobId\":");
    if (!found) return;
    if (!strstr(message->topic, "start-next/accepted")) { start_next(client); return; }
    found = strchr(found + 8, '"') + 1;
    end = strchr(found, '"');
    *end = 0;
    snprintf(topic, sizeof topic, "%s%s/update", prefix, found);
    mosquitto_publish(client, left == 1 ? &last : NULL, topic, sizeof reply - 1, reply, 1, false);
    left--;
}

static void published(struct mosquitto *client, void *unused, int mid) {
    (void)client; (void)unused;
    ended = mid == last;
}

int main(int count, char **arguments) {
    struct mosquitto *client;
    char ca[512], cert[512], key[512];
    if (count != 6) return 2;
    snprintf(prefix, sizeof prefix, "$aws/things/%s/jobs/", arguments[3]);
    snprintf(ca, sizeof ca, "%s/ca.pem", arguments[4]);
    snprintf(cert, sizeof cert, "%s/cert.pem", arguments[4]);
    snprintf(key, sizeof key, "%s/key.pem", arguments[4]);
    left = atoi(arguments[5]);
    mosquitto_lib_init();
    client = mosquitto_new(arguments[3], true, NULL);
    mosquitto_connect_callback_set(client, connected);
    mosquitto_subscribe_callback_set(client, subscribed);
    mosquitto_message_callback_set(client, received);
    mosquitto_publish_callback_set(client, published);
    mosquitto_int_option(client, TCP_NODELAY_OPTION, 1);
    if (mosquitto_tls_set(client, ca, NULL, cert, key, NULL)) return 3;
    if (mosquitto_connect(client, arguments[1], atoi(arguments[2]), 60)) return 4;
    while (!ended) if (mosquitto_loop(client, 1000, 1)) return 5;
    mosquitto_disconnect(client);
    puts("{}");
    return 0;
}
