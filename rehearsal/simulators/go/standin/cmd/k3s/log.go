package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// logTo is where log lines go: the journal, through systemd.
var logTo io.Writer = os.Stderr

// The log lines have k3s's shape, so that what searches a journal for
// level=error or for a message finds it here as well.
func logLine(level, format string, args ...any) {
	now := time.Now().UTC().Format(time.RFC3339)
	fmt.Fprintf(logTo, "time=%q level=%s msg=%q\n", now, level, fmt.Sprintf(format, args...))
}

func logInfo(format string, args ...any)  { logLine("info", format, args...) }
func logWarn(format string, args ...any)  { logLine("warning", format, args...) }
func logError(format string, args ...any) { logLine("error", format, args...) }
func logFatal(format string, args ...any) { logLine("fatal", format, args...) }

// logWriter carries what net/http has to say (bad TLS handshakes) into the log.
type logWriter struct{}

func (logWriter) Write(text []byte) (int, error) {
	logInfo("%s", string(trimNewline(text)))
	return len(text), nil
}

func trimNewline(text []byte) []byte {
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	return text
}

// notifier tells systemd, once, that the unit is up (Type=notify).
type notifier struct{ socket string }

// takeNotifier reads NOTIFY_SOCKET and removes it from the environment.
func takeNotifier() *notifier {
	socket := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
	return &notifier{socket: socket}
}

// ready sends READY=1. Without systemd there is nobody to tell.
func (n *notifier) ready() {
	if n == nil || n.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		logError("Failed to notify systemd: %v", err)
		return
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("READY=1\n")); err != nil {
		logError("Failed to notify systemd: %v", err)
	}
}
