package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOf is the CPU time that a process has used so far.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
}

// parseStat adds user and system time of a line of /proc/PID/stat.
func parseStat(line string) (time.Duration, error) {
	// The second field is the program's name in brackets, and may itself hold blanks and brackets.
	_, rest, found := cutLast(line, ")")
	fields := strings.Fields(rest)
	const user, system = 11, 12 // fields 14 and 15 of the line
	if !found || len(fields) <= system {
		return 0, errors.New("/proc/PID/stat is not as expected")
	}
	ticks := int64(0)
	for _, field := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// memoryUse is what a process has in memory, in bytes. What is not its own are pages of the program's file, which grow
// with the code that has run and not with the tenants.
type memoryUse struct{ resident, own, peak int64 }

func memoryOf(pid int) (memoryUse, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memoryUse{}, err
	}
	return memoryUse{
		resident: kilobytes(status, "VmRSS:"), own: kilobytes(status, "RssAnon:"), peak: kilobytes(status, "VmHWM:"),
	}, nil
}

// kilobytes finds a line such as "VmRSS:   1234 kB" and gives bytes; zero if there is none.
func kilobytes(text []byte, name string) int64 {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == name {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// machineTime is how long the cores were busy, and how long they existed, since the machine started.
type machineTime struct{ busy, total time.Duration }

func readMachineTime() (machineTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, err
	}
	return parseMachineTime(string(text))
}

// parseMachineTime reads the first line of /proc/stat.
func parseMachineTime(text string) (machineTime, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	const idle, waiting, guest = 4, 5, 9
	if len(fields) <= idle || fields[0] != "cpu" {
		return machineTime{}, errors.New("/proc/stat is not as expected")
	}
	var m machineTime
	for i, field := range fields[1:min(len(fields), guest)] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return m, fmt.Errorf("/proc/stat: %w", err)
		}
		m.total += time.Duration(n) * clockTick
		if i+1 != idle && i+1 != waiting {
			m.busy += time.Duration(n) * clockTick
		}
	}
	return m, nil
}
