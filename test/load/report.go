package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// verdict is how a number compares with what it should be.
type verdict string

const (
	none   verdict = ""
	good   verdict = "ok"
	enough verdict = "within bound"
	missed verdict = "MISSED"
)

// judge compares a number that should be small with its goal and with the bound that it must keep.
func judge(value, goal, bound float64) verdict {
	switch {
	case value <= goal:
		return good
	case value <= bound:
		return enough
	default:
		return missed
	}
}

// holds is for what is either so or not.
func holds(ok bool) verdict {
	if ok {
		return good
	}
	return missed
}

// row is one line of the table.
type row struct {
	what, measured, bound, goal string
	verdict                     verdict
}

func (r row) cells() []string {
	return []string{r.what, r.measured, r.bound, r.goal, string(r.verdict)}
}

// report is the outcome of a run.
type report struct {
	heading []string
	rows    []row
	notes   []string
}

func (r *report) add(rows ...row) { r.rows = append(r.rows, rows...) }

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *report) table() [][]string {
	lines := [][]string{{"what", "measured", "bound", "goal", ""}}
	for _, row := range r.rows {
		lines = append(lines, row.cells())
	}
	return lines
}

// text is for a terminal: columns of equal width.
func (r *report) text() string {
	var b strings.Builder
	for _, line := range r.heading {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b)
	table := r.table()
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range table {
		var padded strings.Builder
		for i, cell := range line {
			padded.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(&b, strings.TrimRight(padded.String(), " "))
	}
	fmt.Fprintln(&b)
	for _, note := range r.notes {
		fmt.Fprintln(&b, note)
	}
	return b.String()
}

// markdown is for a page.
func (r *report) markdown() string {
	var b strings.Builder
	for _, line := range r.heading {
		fmt.Fprintf(&b, "%s\n\n", line)
	}
	for i, line := range r.table() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(line)))
		}
	}
	fmt.Fprintln(&b)
	for _, note := range r.notes {
		fmt.Fprintf(&b, "- %s\n", note)
	}
	return b.String()
}
