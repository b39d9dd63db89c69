package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// version is the release that the stand-in plays. All releases are one build: the toolbox
// appends a line to the program that says which one a copy is, so that each
// release has a checksum of its own and an upgrade is the replacement of a file.
var version = releaseOf("/proc/self/exe")

const (
	releaseMark   = "\nk3s-stand-in-release="
	longestMark   = 64
	unnamed       = "v0.0.0+unnamed" // a build that the toolbox has not made a release of
	downLevelText = "incompatible down-level server detected; servers must be upgraded to at least %s"
)

// releaseOf reads the line at a program's end.
func releaseOf(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return unnamed
	}
	defer file.Close()
	if _, err := file.Seek(-longestMark, io.SeekEnd); err != nil {
		return unnamed
	}
	end, err := io.ReadAll(file)
	if err != nil {
		return unnamed
	}
	_, name, found := strings.Cut(string(end), releaseMark)
	if !found {
		return unnamed
	}
	return strings.TrimSpace(name)
}

var releaseForm = regexp.MustCompile(`^v(\d+)\.(\d+)\.(\d+)`)

// numbers are major, minor and patch; zeros where the text is no release.
func numbers(release string) (found [3]int) {
	for i, text := range releaseForm.FindStringSubmatch(release) {
		if i > 0 {
			found[i-1], _ = strconv.Atoi(text)
		}
	}
	return found
}

// checkServerRelease refuses a server older than this node. k3s has no such check of its own;
// its newer agents fail in changing places, with a text of this kind where one was written for it.
func checkServerRelease(own, server string) error {
	mine, its := numbers(own), numbers(server)
	for i := range mine {
		if mine[i] != its[i] {
			if mine[i] > its[i] {
				return fmt.Errorf(downLevelText, own)
			}
			return nil
		}
	}
	return nil
}

// claimRelease makes kube-apiserver's answer to /version that of the release that is played: one
// build of it stands behind all of them.
func claimRelease(response *http.Response) error {
	if response.Request.URL.Path != "/version" || response.StatusCode != http.StatusOK {
		return nil
	}
	var info map[string]any
	err := json.NewDecoder(response.Body).Decode(&info)
	response.Body.Close()
	if err != nil {
		return err
	}
	of := numbers(version)
	info["gitVersion"], info["major"], info["minor"] = version, strconv.Itoa(of[0]), strconv.Itoa(of[1])
	content, err := json.Marshal(info)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(content))
	response.ContentLength = int64(len(content))
	response.Header.Set("Content-Length", strconv.Itoa(len(content)))
	response.Header.Del("Content-Encoding")
	return nil
}
