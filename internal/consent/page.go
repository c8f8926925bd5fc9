package consent

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const columns = 78

// page is plain text that grows line by line.
type page struct{ text strings.Builder }

// String is the whole text.
func (p *page) String() string { return p.text.String() }

// heading starts a part of the letter.
func (p *page) heading(text string) {
	p.text.WriteString(text + "\n\n")
}

// paragraph is running text with an empty line after it.
func (p *page) paragraph(indent int, format string, args ...any) {
	p.line(indent, format, args...)
	p.gap()
}

// item is running text that hangs behind its mark.
func (p *page) item(mark, format string, args ...any) {
	first := "  " + mark + " "
	p.wrap(first, strings.Repeat(" ", len(first)), fmt.Sprintf(format, args...))
}

// line is running text.
func (p *page) line(indent int, format string, args ...any) {
	space := strings.Repeat(" ", indent)
	p.wrap(space, space, fmt.Sprintf(format, args...))
}

// link stands alone and whole, because mail programs recognize it up to the next space.
func (p *page) link(url string) {
	p.text.WriteString("     " + url + "\n")
}

func (p *page) gap() { p.text.WriteByte('\n') }

// wrap breaks text between words. What is aligned with several spaces stays aligned as
// long as it fits.
func (p *page) wrap(first, rest, text string) {
	if utf8.RuneCountInString(first+text) <= columns {
		p.text.WriteString(first + text + "\n")
		return
	}
	line, empty := first, true
	for word := range strings.FieldsSeq(text) {
		if !empty && utf8.RuneCountInString(line+" "+word) > columns {
			p.text.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	p.text.WriteString(line + "\n")
}
