/* A runtime client with nothing in it but the protocol: asks for an event, answers with it, and so on. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 16];

/* Reads one message with a length; the body begins where is said. */
static int message(int line, char **body) {
  int have = 0, length = -1;
  char *end = NULL;
  while (!end || have < (end - buffer) + 4 + length) {
    int taken = read(line, buffer + have, sizeof buffer - 1 - have);
    if (taken <= 0) exit(1);
    have += taken;
    buffer[have] = 0;
    if (!end && (end = strstr(buffer, "\r\n\r\n"))) {
      char *told = strcasestr(buffer, "content-length:");
      length = told && told < end ? atoi(told + 15) : 0;
    }
  }
  *body = end + 4;
  return length;
}

int main(void) {
  char host[64], request[1 << 16], id[64], *body, *port;
  struct sockaddr_in to = {.sin_family = AF_INET};
  snprintf(host, sizeof host, "%s", getenv("AWS_LAMBDA_RUNTIME_API"));
  port = strchr(host, ':');
  *port = 0;
  to.sin_port = htons(atoi(port + 1));
  inet_pton(AF_INET, host, &to.sin_addr);
  int line = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(line, (struct sockaddr *)&to, sizeof to)) return 1;
  for (;;) {
    int size = sprintf(request, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    if (write(line, request, size) != size) return 1;
    int length = message(line, &body);
    sscanf(strcasestr(buffer, "request-id:") + 11, " %63[^\r]", id);
    size = sprintf(request, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", id, host, length);
    memcpy(request + size, body, length);
    if (write(line, request, size + length) != size + length) return 1;
    message(line, &body);
  }
}
