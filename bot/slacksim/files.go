package slacksim

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// uploadURL is the first of the three steps of an upload: announce.
func (s *Sim) uploadURL(c *call) (obj, error) {
	size, err := strconv.Atoi(c.str("length"))
	if c.str("filename") == "" || err != nil || size <= 0 {
		return nil, &apiError{code: "invalid_arguments", messages: []string{"[ERROR] filename and a length above 0 are required"}}
	}
	f := &File{ID: s.newID("F"), Name: c.str("filename"), AltText: c.str("alt_txt"), size: size}
	s.files[f.ID] = f
	return obj{"file_id": f.ID, "upload_url": c.base + "/upload/" + f.ID}, nil
}

// serveUpload is the second step: the bytes, raw or as a multipart file.
func (s *Sim) serveUpload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	var src io.Reader = r.Body
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		part, err := firstFile(r)
		if err != nil {
			http.Error(w, "no file in the form", http.StatusBadRequest)
			return
		}
		src = part
	}
	b, err := io.ReadAll(src)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[r.PathValue("id")]
	switch {
	case err != nil:
		http.Error(w, "upload cut off", http.StatusBadRequest)
	case f == nil || f.Done:
		http.Error(w, "unknown or finished upload", http.StatusNotFound)
	case len(b) != f.size:
		http.Error(w, "size differs from the announced length", http.StatusBadRequest)
	default:
		f.Bytes = b
		_, _ = io.WriteString(w, "OK - "+strconv.Itoa(len(b)))
	}
}

func firstFile(r *http.Request) (io.Reader, error) {
	mr, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		p, err := mr.NextPart()
		if err != nil {
			return nil, err
		}
		if p.FileName() != "" {
			return p, nil
		}
	}
}

// completeUpload is the third step: share the files, or keep them unshared.
func (s *Sim) completeUpload(c *call) (obj, error) {
	raw, err := c.data("files")
	items, _ := raw.([]any)
	if err != nil || len(items) == 0 {
		return nil, &apiError{code: "invalid_arguments", messages: []string{"[ERROR] files must be a list of {id, title}"}}
	}
	var ids []string
	for _, it := range items {
		m, _ := it.(obj)
		f := s.files[text(m, "id")]
		if f == nil || f.Bytes == nil || f.Done {
			return nil, refuse("file_not_found")
		}
		f.Title = text(m, "title")
		ids = append(ids, f.ID)
	}
	channels := strings.FieldsFunc(c.str("channels")+","+c.str("channel_id"), func(r rune) bool { return r == ',' })
	if err := s.share(c, channels, ids); err != nil {
		return nil, err
	}
	out := []any{}
	for _, id := range ids {
		s.files[id].Done = true
		out = append(out, obj{"id": id, "title": s.files[id].Title})
	}
	return obj{"files": out}, nil
}

// share posts the files into channels; it checks all before it posts into one.
func (s *Sim) share(c *call, channels, ids []string) error {
	says := content{text: c.str("initial_comment")}
	raw, err := c.data("blocks")
	if err != nil {
		return refuse("invalid_blocks_format")
	}
	if raw != nil {
		if says.blocks, err = checkMessageBlocks(raw); err != nil {
			return err
		}
	}
	threads := make([]string, len(channels))
	for i, id := range channels {
		ch, err := s.botChannel(id)
		if err != nil {
			return err
		}
		if threads[i], err = s.threadOf(ch.ID, c.str("thread_ts")); err != nil {
			return err
		}
	}
	for i, id := range channels {
		s.post(&Message{Channel: id, ThreadTS: threads[i], User: BotUser, Bot: true, Text: says.text, Blocks: says.blocks, Files: ids})
	}
	return nil
}
