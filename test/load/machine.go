package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machineLines say where the numbers come from.
func machineLines(kubernetes string) []string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return []string{
		fmt.Sprintf("Machine %s: %s, %d cores, %s/%s, kernel %s", host, processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, firstLine("/proc/sys/kernel/osrelease")),
		fmt.Sprintf("Versions: %s, Kubernetes %s", runtime.Version(), kubernetes),
	}
}

// processor is the model name of the first core.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer func() { _ = file.Close() }() // it was only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// loadAverages are those of the last one, five and fifteen minutes.
func loadAverages() string {
	const averages = 3
	fields := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(fields[:min(averages, len(fields))], ", ")
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
