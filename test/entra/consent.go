package entra

func (e *Emulator) consentV1(v *visit) answer        { return answer{} }
func (e *Emulator) consentV2(v *visit) answer        { return answer{} }
func (e *Emulator) consentAuthorize(v *visit) answer { return answer{} }
